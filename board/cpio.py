"""The archive the kernel unpacks: cpio in the newc form, records in, bytes out.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Reproducible: inodes are
counted, every record has the same time, the order is that of the records given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from board.tree import Directory, File, Link, Node, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {"file": 0o100000, "directory": 0o040000, "link": 0o120000, "c": 0o020000, "b": 0o060000}
TRAILER = "TRAILER!!!"


def archive(records: Iterable[Record], *, mtime: int) -> bytes:
    """Return the archive. `mtime` (seconds since 1970) is every record's; the parents must come first."""
    parts = [entry(record, inode, mtime) for inode, record in enumerate(records, start=1)]
    parts.append(member(TRAILER, b"", mode=0, links=1))
    return b"".join(parts)


def entry(record: Record, inode: int, mtime: int) -> bytes:
    """Return one record's part of the archive."""
    name = record.path.removeprefix("/")
    common = {"inode": inode, "uid": record.uid, "gid": record.gid, "mtime": mtime}
    match record:
        case File():
            return member(name, record.data, mode=KINDS["file"] | record.mode, links=1, **common)
        case Directory():
            return member(name, b"", mode=KINDS["directory"] | record.mode, links=2, **common)
        case Link():
            return member(name, record.target.encode(), mode=KINDS["link"] | record.mode, links=1, **common)
        case Node():
            device = {"major": record.major, "minor": record.minor}
            return member(name, b"", mode=KINDS[record.kind] | record.mode, links=1, **common, **device)
    raise TypeError(record)


def member(
    name: str, data: bytes, *, mode: int, links: int,
    inode: int = 0, uid: int = 0, gid: int = 0, mtime: int = 0, major: int = 0, minor: int = 0,
) -> bytes:  # fmt: skip
    """Return header, name and data of one member; name and data are padded to four bytes."""
    path = name.encode() + b"\0"
    # after the magic: ino mode uid gid nlink mtime filesize major minor rmajor rminor namesize check
    numbers = (inode, mode, uid, gid, links, mtime, len(data), 0, 0, major, minor, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return padded(header + path) + padded(data)


def padded(data: bytes) -> bytes:
    """Return the data with zeros up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


def read(data: bytes) -> dict[str, bytes]:
    """Return the regular files of one or more archives in a row: path (absolute) to content. Raises ValueError."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        if data[at : at + 6] != b"070701":
            raise ValueError(f"no cpio member at {at}")
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110 : at + 110 + numbers[11] - 1].decode()
        start = at + aligned(110 + numbers[11])
        if numbers[1] & 0o170000 == KINDS["file"]:
            found[f"/{name}"] = data[start : start + numbers[6]]
        at = start + aligned(numbers[6])
    return found


def aligned(size: int) -> int:
    """Return the size with its padding."""
    return size + -size % 4
