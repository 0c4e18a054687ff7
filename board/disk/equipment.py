"""What an image has only because it lives on a disk: programs, kernel modules, services, and what it knows of itself. Pure,
but for the public key.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from board.disk import keys
from board.tree import Directory, File, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from board.model import Board, Disk, Profile

SLOTS = frozenset({"fit", "systemd-boot"})  # loaders that choose between two slots
PROGRAMS = tuple(f"e2fsprogs:/usr/sbin/{name}" for name in ("mke2fs", "e2fsck", "resize2fs"))
VERIFIER = "signify-openbsd:/usr/bin/signify-openbsd"
# Loaded when something is mounted; crc32c is what ext4 asks the kernel's crypto for by that name.
MODULES = ("vfat", "nls_ascii", "nls_cp437", "ext4", "crc32c_generic")
SERVICES = ("mark-good",)


def added(profile: Profile, disk: Disk) -> Profile:
    """Return the profile with what the disk needs."""
    slots = disk.loader in SLOTS
    return dataclasses.replace(
        profile,
        services=(*profile.services, *(SERVICES if slots else ())),
        programs=(*profile.programs, *PROGRAMS, *((VERIFIER,) if slots else ())),
        modules=(*profile.modules, *MODULES),
    )


def identity(board: Board) -> str:
    """Return the disk's GUID, the same for each image of a board and chain: the target knows its own disk by it."""
    words = hashlib.sha256(f"initfs disk {board.name} {board.chain}".encode()).hexdigest()
    # version 4 and variant 1 of RFC 9562, so that nobody takes it for something else
    return f"{words[:8]}-{words[8:12]}-4{words[13:16]}-8{words[17:20]}-{words[20:32]}"


def signature(board: Board) -> int:
    """Return the disk's signature in an MBR, made of the same number."""
    return int(identity(board)[:8], 16)


def variables(board: Board) -> dict[str, str]:
    """Return what /etc/initfs/board says of the disk, if there is one."""
    if board.disk is None:
        return {}
    return {"CHAIN": board.chain, "LOADER": board.disk.loader, "DISK": identity(board)}


def system(board: Board) -> Iterator[Record]:
    """Return the mount points, and the key that updates are verified with."""
    if board.disk is None:
        return
    yield Directory(path="/boot")
    yield Directory(path="/data")
    if key := keys.public():
        yield File(path="/etc/initfs/update.pub", data=key)
