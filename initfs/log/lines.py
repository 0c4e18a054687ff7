"""Raw bytes to blocks of whole lines: each block ends in a newline, however long the lines were that came in. Pure.

Source: `spec/logging.md` 2.2: a NUL byte ends a line as a newline does; a longer line than the limit is split, and what is left of it is a new
line. Nothing here looks at single lines unless one is too long: a block of 64 KiB costs a few searches.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 8192
WHOLE = 65536  # without a limit, a line of so many bytes is handed on in pieces


@value
class Cut:
    """A block, how many raw bytes it stands for, and whether its last line goes on (only without a limit)."""

    block: bytes
    used: int
    open: bool = False


NOTHING = Cut(b"", 0)


def cut(data: bytes, limit: int, *, ended: bool = False) -> Cut:
    """The lines in DATA that can be told now; with ENDED also the last one, which has no newline."""
    if b"\0" in data:
        data = data.replace(b"\0", b"\n")
    used = data.rfind(b"\n") + 1
    block = data if used == len(data) else data[:used]
    if limit and used > limit:
        block = _split(block, limit)
    if used < len(data):
        return _with_tail(block, data[used:], used, limit, ended=ended)
    return Cut(block, used)


def fewer(cut_: Cut, data: bytes, limit: int, most: int) -> Cut:
    """As much of CUT_, which was cut from DATA, as has MOST lines; its first line at least, however many that is split into."""
    while (count := cut_.block.count(b"\n")) > most:
        smaller = cut(data[: cut_.used * most // count], limit)
        if not smaller.used:
            begin = first(data)
            return cut(begin, limit) if begin else cut_
        cut_ = smaller
    return cut_


def first(data: bytes) -> bytes:
    """The first line, to its newline or NUL; nothing if it has not ended."""
    return data[: min([at + 1 for at in (data.find(b"\n"), data.find(b"\0")) if at >= 0], default=0)]


def _with_tail(block: bytes, tail: bytes, used: int, limit: int, *, ended: bool) -> Cut:
    """What follows the last newline: all at the end, else as much of it as is too long for a line."""
    if ended:
        return Cut(block + _split(tail + b"\n", limit), used + len(tail))
    if limit:
        pieces = (len(tail) - 1) // limit
        long = b"".join(tail[limit * index : limit * (index + 1)] + b"\n" for index in range(pieces))
        return Cut(block + long, used + limit * pieces)
    if not block and len(tail) >= WHOLE:
        return Cut(tail, len(tail), open=True)
    return Cut(block, used)


def _split(block: bytes, limit: int) -> bytes:
    """The block with a newline after each LIMIT bytes of a longer line."""
    at = long_line(block, limit) if limit else -1
    if at < 0:
        return block
    parts = []
    begin = 0
    while at >= 0:
        parts.append(block[begin : at + limit])
        begin = at + limit
        at = long_line(block, limit, begin)
    return b"\n".join([*parts, block[begin:]])


def long_line(block: bytes, limit: int, at: int = 0) -> int:
    """Where the first line of more than LIMIT bytes begins, at AT or later; -1: there is none."""
    end = len(block)
    while end - at > limit:
        newline = block.rfind(b"\n", at, at + limit + 1)  # as far as one look goes, many lines at once
        if newline < 0:
            return at
        at = newline + 1
    return -1


def pieces(block: bytes, most: int = PIECE) -> Iterator[bytes]:
    """The block in pieces of whole lines, of MOST bytes or of one line: as objects of their own, lines take up to fifty times their bytes."""
    at = 0
    while at < len(block):
        end = block.rfind(b"\n", at, at + most) + 1 or block.find(b"\n", at) + 1 or len(block)
        yield block[at:end]
        at = end
