"""Our disk and its partitions, and the boot partition while somebody needs it.

The boot partition is mounted only for as long as something on it is read or changed: a FAT survives a power cut best
when nobody has it open.
"""

from __future__ import annotations

import os

from initfs import files, rtnetlink, say
from initfs.disk import command
from initfs.disk.identity import HEAD, ours, settings
from initfs.loop import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

BOARD = "/etc/initfs/board"
BLOCK = "/sys/class/block"
BOOT, DATA = "1", "2"  # numbers of the partitions


def board() -> Mapping[str, str]:
    """What the image knows of its board; DISK is missing in one that lives on no disk."""
    return settings((files.read(BOARD) or b"").decode())


def partitions(wanted: str) -> dict[str, str]:
    """The device files of our disk's partitions by number; empty when the disk is not there."""
    for name in sorted(os.listdir(BLOCK)):
        if os.path.exists(f"{BLOCK}/{name}/partition") or not ours(_head(f"/dev/{name}"), wanted):
            continue
        found = {}
        for child in os.listdir(f"{BLOCK}/{name}"):
            number = files.read(f"{BLOCK}/{name}/{child}/partition") if child.startswith(name) else None
            if number:
                found[number.decode().strip()] = f"/dev/{child}"
        if found:
            return found
    return {}


def _head(device: str) -> bytes:
    try:
        return files.read(device, size=HEAD) or b""
    except OSError:  # an empty drive
        return b""


def awaited(wanted: str, seconds: float) -> dict[str, str]:
    """As `partitions`, waiting for the disk: a card is found some time after its driver was loaded."""
    news = rtnetlink.devices()
    deadline = now() + seconds
    try:
        while not (found := partitions(wanted)) and now() < deadline:
            rtnetlink.heard(news, deadline - now())
    finally:
        news.close()
    return found


class boot:  # noqa: N801
    """While it lasts the boot partition is at /boot, with WRITABLE to be changed; then it is unmounted, and all is on the disk."""

    def __init__(self, device: str, where: str = "/boot", *, writable: bool = False) -> None:
        self.device, self.where, self.writable = device, where, writable

    def __enter__(self) -> Self:
        """Mount it. Raises say.Fatal."""
        words = ["mount", "-t", "vfat", "-o", "rw,umask=0077" if self.writable else "ro,umask=0077"]
        if command.run([*words, self.device, self.where]):
            raise say.Fatal(say.TEMPORARY, f"unable to mount {self.device} on {self.where}")
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it."""
        os.sync()
        if command.run(["umount", self.where]):
            say.warning(f"unable to unmount {self.where}")

    def path(self, name: str) -> str:
        return f"{self.where}/{name}"
