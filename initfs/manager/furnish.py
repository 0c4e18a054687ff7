"""Service directories, from a database into a live directory: copied, marked down, and linked where a scan finds them."""

from __future__ import annotations

import os

from initfs import files
from initfs.manager import disk
from initfs.notify import fifodir


def copy(compiled: str, live: str, name: str) -> str:
    """Copy one service directory to LIVE/servicedirs, not to be started by itself; returns where. OSError."""
    target = f"{live}/servicedirs/{name}"
    disk.copy_tree(f"{compiled}/servicedirs/{name}", target)
    disk.write(f"{target}/down", b"")
    fifodir.ensure(f"{target}/event")
    return target


def link(scandir: str, entry: str, target: str) -> None:
    """Have SCANDIR/ENTRY lead to TARGET, by one rename, so that a scan in between finds the old or the new. OSError."""
    new = f"{scandir}/.{entry}.new.{os.getpid()}"
    files.remove(new)
    os.symlink(target, new)
    os.rename(new, f"{scandir}/{entry}")


def unlink(scandir: str, entry: str) -> None:
    """Take an entry out again, if it is there. OSError."""
    files.remove(f"{scandir}/{entry}")
