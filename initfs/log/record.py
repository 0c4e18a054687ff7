"""What an inbox remembers of the block that is being written, so that a successor of a killed logger can do it again. Pure.

A record fits into one page and is written by one system call, so that it is there as a whole or not at all, whenever the process is killed.
"""

from __future__ import annotations

import struct

from initfs.value import value

SIZE = 4096
PLACES_MAX = 64
STATE_MAX = 2048
_MAGIC = b"svlog\0\0\2"
_HEAD = struct.Struct("<8s16sQQqQQHH")
_PLACE = struct.Struct("<QQQ")


@value
class Place:
    """Where a log directory stood: its `current` (inode, bytes), and how much of the block's output is in files already."""

    inode: int
    size: int
    placed: int


@value
class Record:
    """The raw block is `start` to `end` of the inbox (the same: none); what made its output what it is; where it went.

    `boot` and `script` tell whether the places still mean something; `held` are the actions, as bits, that an unended line goes to;
    `state` is what the limits remember.
    """

    boot: bytes
    script: int
    start: int
    end: int
    stamp: int = 0
    held: int = 0
    places: tuple[Place, ...] = ()
    state: bytes = b""


def encode(record: Record) -> bytes:
    """The bytes of a record; at most PLACES_MAX places and STATE_MAX bytes of state."""
    head = _HEAD.pack(
        _MAGIC,
        record.boot,
        record.script,
        record.start,
        record.stamp,
        record.end,
        record.held,
        len(record.places),
        len(record.state),
    )
    return (
        head
        + b"".join([_PLACE.pack(place.inode, place.size, place.placed) for place in record.places])
        + record.state
    )


def decode(data: bytes) -> Record | None:
    """The record in a page; None when there is none."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return None
    _, boot, script, start, stamp, end, held, places, state = _HEAD.unpack_from(data)
    behind = _HEAD.size + places * _PLACE.size
    if not SIZE <= start <= end or places > PLACES_MAX or state > STATE_MAX or len(data) < behind + state:
        return None
    found = (Place(*_PLACE.unpack_from(data, _HEAD.size + index * _PLACE.size)) for index in range(places))
    return Record(boot, script, start, end, stamp, held, tuple(found), data[behind : behind + state])


def unfinished(record: Record, size: int) -> bool:
    """Whether the block of a record was still being written when the inbox was SIZE bytes long.

    An inbox whose blocks are all written is cut down to its first page; if that was the last that the logger did, the record still
    tells of a block that is no longer there.
    """
    return record.start < record.end <= size
