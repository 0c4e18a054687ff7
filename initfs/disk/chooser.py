"""The slots on a mounted boot partition, by either loader: which one is good, marking, taking one out, putting one in."""

from __future__ import annotations

import os

from initfs import files
from initfs.disk import slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Chooser(Protocol):
        """What both loaders can be asked for. Everything is on the disk when a method returns."""

        parts: dict[str, str]  # of an update: name in it to name on the boot partition, {} is the slot

        def good(self, slot: str) -> bool: ...
        def mark(self, slot: str) -> None: ...
        def withdraw(self, slot: str) -> None: ...
        def offer(self, slot: str, arguments: str) -> None: ...


class UBoot:
    """The tries are counted in slots.env, by our boot.scr."""

    parts = {"slot.itb": "slot_{}.itb"}  # noqa: RUF012

    def __init__(self, boot: str) -> None:
        self.path = f"{boot}/slots.env"

    def _read(self) -> slots.Slots:
        return slots.parse(files.read(self.path) or b"")

    def _write(self, changed: slots.Slots) -> None:
        """In place: one sector, which is there whole, before or after. A new file and a rename are three."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, slots.text(changed))
            os.fsync(fd)
        finally:
            os.close(fd)

    def good(self, slot: str) -> bool:
        return self._read().left(slot) == slots.GOOD

    def mark(self, slot: str) -> None:
        self._write(slots.with_left(self._read(), slot, slots.GOOD))

    def withdraw(self, slot: str) -> None:
        self._write(slots.without(self._read(), slot))

    def offer(self, slot: str, arguments: str) -> None:  # noqa: ARG002 -- they are in the slot's image
        """Have it tried first."""
        self._write(slots.first(self._read(), slot))


class SystemdBoot:
    """The tries are counted in the names of entries, by systemd-boot itself."""

    parts = {"linux": "linux-{}", "initrd.zst": "initrd-{}.zst"}  # noqa: RUF012

    def __init__(self, boot: str) -> None:
        self.folder = f"{boot}/loader/entries"

    def _entries(self, slot: str) -> list[str]:
        return slots.entries(os.listdir(self.folder), slot)

    def _synced(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def good(self, slot: str) -> bool:
        return f"{slot}.conf" in self._entries(slot)

    def mark(self, slot: str) -> None:
        counted = [name for name in self._entries(slot) if name != f"{slot}.conf"]
        if counted:
            os.rename(f"{self.folder}/{counted[0]}", f"{self.folder}/{slot}.conf")
        self._synced()

    def withdraw(self, slot: str) -> None:
        for name in self._entries(slot):
            os.unlink(f"{self.folder}/{name}")
        self._synced()

    def offer(self, slot: str, arguments: str) -> None:
        """Its entry appears under a name that counts as one only when it is whole on the disk."""
        known = (self._entries(slots.other(slot)) or [""])[0]
        version = slots.version_of(files.read(f"{self.folder}/{known}") or b"") if known else 0
        new = f"{self.folder}/{slot}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, slots.entry(slot, version + 1, arguments))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, f"{self.folder}/{slot}+{slots.TRIES}.conf")
        self._synced()


CHOOSERS: dict[str, type[UBoot | SystemdBoot]] = {"fit": UBoot, "systemd-boot": SystemdBoot}
