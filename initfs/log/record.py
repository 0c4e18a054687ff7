"""What an inbox remembers of the block that is being written, so that a successor of a killed logger can do it again. Pure.

A record fits into one page and is written by one system call, so that it is there as a whole or not at all, whenever the process is killed.
"""

from __future__ import annotations

import struct

from initfs.value import value

SIZE = 4096
BLANK = b"\xff"  # in no UTF-8 text
EXACT = 1
PLACES_MAX = 64
STATE_MAX = 2048
_MAGIC = b"svlog\0\0\3"
_HEAD = struct.Struct("<8s16sQQQQQqQHH")
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

    Up to `taken` the inbox is known to be filled; behind that, but not behind `limit` (0: the end of the file), there may be more. EXACT as
    limit: all that the file has is filled.

    `boot` and `script` tell whether the places still mean something; `held` are the actions, as bits, that an unended line goes to;
    `state` is what the limits remember.
    """

    boot: bytes
    script: int
    start: int
    end: int
    taken: int
    limit: int = 0
    stamp: int = 0
    held: int = 0
    places: tuple[Place, ...] = ()
    state: bytes = b""


def encode(record: Record) -> bytes:
    """The bytes of a record; at most PLACES_MAX places and STATE_MAX bytes of state."""
    r = record
    return encoded(r.boot, r.script, r.start, r.end, r.taken, r.limit, r.stamp, r.held, r.places, r.state)


def encoded(
    boot: bytes,
    script: int,
    start: int,
    end: int,
    taken: int,
    limit: int,
    stamp: int,
    held: int,
    places: tuple[Place, ...],
    state: bytes,
) -> bytes:
    """The bytes of a record of these fields; several are written for each block, and the value itself is half of what they cost."""
    head = _HEAD.pack(_MAGIC, boot, script, start, end, taken, limit, stamp, held, len(places), len(state))
    return b"".join([head, *[_PLACE.pack(place.inode, place.size, place.placed) for place in places], state])


def decode(data: bytes) -> Record | None:
    """The record in a page; None when there is none."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return None
    _, boot, script, start, end, taken, limit, stamp, held, places, state = _HEAD.unpack_from(data)
    behind = _HEAD.size + places * _PLACE.size
    if (
        not SIZE <= start <= end <= taken
        or places > PLACES_MAX
        or state > STATE_MAX
        or len(data) < behind + state
    ):
        return None
    found = (Place(*_PLACE.unpack_from(data, _HEAD.size + index * _PLACE.size)) for index in range(places))
    rest = data[behind : behind + state]
    return Record(boot, script, start, end, taken, limit, stamp, held, tuple(found), rest)


def filled(record: Record, region: bytes) -> bytes:
    """What is in the inbox and not yet written: REGION is the file from `start` on. The block in work comes first.

    What was moved into the file after the record was written is found by what it replaced, BLANK bytes or the file's end. At the very end of it
    BLANK bytes of its own would be taken for unfilled: no text has any, and an inbox that has seen one leaves no blank space.
    """
    if record.limit == EXACT:
        return region
    known = record.taken - record.start
    behind = region[known : record.limit - record.start if record.limit else None]
    return region[:known] + behind.rstrip(BLANK)
