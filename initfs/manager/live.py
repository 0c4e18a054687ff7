"""The live directory: what is up now, and the service directories that the tree supervises.

    live -> live:SUFFIX      so that a whole new one takes its place by one rename
      compiled -> database   scandir -> scan directory   prefix   lock   initfs (the launcher)
      state                  a byte for each service: bit 0 it is up, bit 1 somebody asked for it by name
      servicedirs/NAME/      linked into the scan directory as PREFIX + NAME

A state is changed by writing its one byte in place: that is as atomic as a rename of the whole, needs no new room on a full file system, and
costs the same with five thousand services. Source: `spec/service-manager.md` 6.6.
"""

from __future__ import annotations

import os
import sys

from initfs import files, say
from initfs.manager import database, disk, locks
from initfs.manager.plan import MEANT, UP
from initfs.manager.query import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LIVE = "/run/s6-rc"
BOOT = "/etc/s6-rc/compiled/current"


class Live:
    """An opened live directory: its database, its state, and where its services are."""

    def __init__(self, path: str, *, lock: int, block: bool = False) -> None:
        """LOCK is how the live directory is locked. say.Fatal: 111 busy or not there, 4 its database or state can't be used."""
        self.path = path
        self.compiled = f"{path}/compiled"
        self.lock = locks.take(path, lock, block=block)
        locks.take(self.compiled, locks.SHARED if lock else locks.NONE, block=block)
        self.index = Index(database.load(self.compiled))
        self._writing = lock == locks.EXCLUSIVE
        self._fd, self.state = self._read()

    def _read(self) -> tuple[int, bytearray]:
        path = f"{self.path}/state"
        try:
            fd = os.open(path, (os.O_RDWR if self._writing else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise say.unable(f"read {path}", error) from error
        content = os.read(fd, len(self.index.database) + 1)
        if len(content) != len(self.index.database):
            raise say.Fatal(
                database.INVALID,
                f"invalid state {path}: {len(content)} bytes for {len(self.index.database)} services",
            )
        return fd, bytearray(byte & MEANT for byte in content)

    def up(self) -> set[int]:
        """The services that are up."""
        return {number for number, byte in enumerate(self.state) if byte & UP}

    def set(self, number: int, byte: int) -> None:
        """Record a service's new state. say.Fatal 111."""
        self.state[number] = byte
        self._write(bytes((byte,)), number)

    def set_all(self, changed: Mapping[int, int]) -> None:
        """Record the new states of several services at once. say.Fatal 111."""
        if not changed:
            return
        for number, byte in changed.items():
            self.state[number] = byte
        self._write(self.state, 0)

    def _write(self, content: bytes | bytearray, at: int) -> None:
        try:
            os.pwrite(self._fd, content, at)
        except OSError as error:
            raise say.unable(f"write {self.path}/state", error) from error

    def servicedir(self, number: int) -> str:
        """The live service directory of a longrun."""
        return f"{self.path}/servicedirs/{self.index.database.names[number]}"


def resolve(live: Live, names: Iterable[str]) -> set[int]:
    """The services that these names stand for. say.Fatal 3 for an unknown one."""
    from initfs.manager.query import Unknown

    try:
        return live.index.union(names)
    except Unknown as error:
        raise say.Fatal(database.UNKNOWN, f"{error} is not a name in {live.compiled}") from None


def create(path: str, target: str, scandir: str, prefix: str, state: bytes) -> str:
    """Make the directory that the link PATH is to lead to, without service directories yet; returns its path. OSError."""
    made = fresh(path)
    os.mkdir(made, 0o755)
    try:
        os.symlink(target, f"{made}/compiled")
        os.symlink(scandir, f"{made}/scandir")
        disk.write(f"{made}/prefix", os.fsencode(prefix))
        disk.write(f"{made}/state", state)
        disk.write(f"{made}/lock", b"")
        disk.write(f"{made}/initfs", launcher(), 0o755)
        os.mkdir(f"{made}/servicedirs", 0o755)
    except BaseException:
        disk.remove_tree(made)
        raise
    return made


def fresh(path: str) -> str:
    """A name beside the link PATH that is not in use: PATH:SUFFIX."""
    count = 0
    while os.path.lexists(made := f"{path}:{os.getpid()}{f'.{count}' if count else ''}"):
        count += 1
    return made


def launcher() -> bytes:
    """The program `initfs` as this interpreter runs it: service directories need not know where that is."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import sys; sys.path.insert(0, {root!r}); from initfs.main import main; "
        'sys.exit(main(["initfs", *sys.argv[1:]]))'
    )
    from initfs.manager.servicedirs import quote

    return os.fsencode(f'#!/bin/sh\nexec {quote(sys.executable)} -I -S -c {quote(code)} "$@"\n')


def point(path: str, target: str) -> None:
    """Have the link PATH lead to TARGET, by one rename. OSError."""
    new = disk.temporary(path)
    files.remove(new)
    os.symlink(os.path.basename(target), new)
    os.rename(new, path)


def prefix(path: str) -> str:
    """What a live directory puts before the names in its scan directory."""
    return os.fsdecode(files.read(f"{path}/prefix") or b"")
