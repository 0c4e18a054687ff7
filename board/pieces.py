"""An initramfs in pieces: what changes seldom is compressed once, and kept by content.

The kernel unpacks any number of compressed archives, one after the other (buffer-format.rst). So our own code
and the services are one small archive, which also has every directory, the interpreter with its libraries
and busybox another, and the kernel's modules a third: after a change in our code only the first is packed
anew, and the size of an image without modules is known.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import cpio, host
from board.tree import Directory, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Piece by group; what is not here goes with "ours".
PIECE = {
    "interpreter": "base",
    "stdlib": "base",
    "libraries": "base",
    "busybox": "base",
    "modules": "modules",
}
ORDER = ("ours", "base", "modules")
# The strongest there is, in a window of 16 MB: the kernel allocates that much to unpack, and small machines have not much more.
STRENGTH = ("--ultra", "-22", "--zstd=wlog=24")
MONTH = 30 * 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class Piece:
    """One compressed archive."""

    name: str
    plain: int  # bytes before compression
    data: bytes


def split(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Divide the records, keeping their order. All directories are in the first piece, so they exist for the others."""
    found: dict[str, list[Record]] = {name: [] for name in ORDER}
    for record in records:
        name = "ours" if isinstance(record, Directory) else PIECE.get(record.group, "ours")
        found[name].append(record)
    return {name: part for name, part in found.items() if part}


def pack(records: Sequence[Record], mtime: int) -> list[Piece]:
    """Return the compressed pieces in the order they are to be unpacked."""
    archives = {name: cpio.archive(part, mtime=mtime) for name, part in split(records).items()}
    with ThreadPoolExecutor() as pool:
        compressed = pool.map(compress, archives.values())
    return [
        Piece(name, len(data), small)
        for (name, data), small in zip(archives.items(), compressed, strict=True)
    ]


def compress(data: bytes) -> bytes:
    """Return the data as a zstd frame, from the cache if it was compressed before."""
    key = hashlib.sha256(" ".join(("zstd", *STRENGTH)).encode() + b"\0" + data).hexdigest()
    path = host.cache() / "zstd" / f"{key}.zst"
    if not path.exists():
        # any number of workers gives the same bytes, none (--single-thread) gives others
        command = ["zstd", "-q", *STRENGTH, "-T2", "--no-check", "-c"]
        small = host.run(command, what="compress the image", stdin=data)
        with host.failing("keep a compressed archive"):
            host.replace(path, small)
            forget(path.parent)
    with suppress(OSError):
        os.utime(path)  # a cache that others may only read serves as well
    return path.read_bytes()


def forget(folder: Path) -> None:
    """Remove archives that no build used for a month: each change leaves one behind."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - MONTH:
                path.unlink()
