"""What is put in front of each line: labels, local time, a prefix. Pure: the moment, and its calendar, are arguments.

One read of the input has one stamp, so stamping a block is one replacement at the speed of C.
"""

from __future__ import annotations

from initfs import tai

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NANO = 1_000_000_000


def label(ns: int, offset: int = tai.LEAP) -> bytes:
    """`@` and 24 hexadecimal digits and a space. A moment that a label cannot hold is the nearest one that it can."""
    try:
        return tai.label(ns, offset).encode() + b" "
    except OverflowError:
        return b"@" + (b"0" if ns < 0 else b"f") * 24 + b" "


def local(calendar: Sequence[int], ns: int) -> bytes:
    """`YYYY-MM-DD HH:MM:SS.nnnnnnnnn` and two spaces."""
    return f"{_day(calendar, '-')} {_clock(calendar)}.{ns % NANO:09d}  ".encode()


def human(calendar: Sequence[int], ns: int, between: str) -> bytes:
    """`YYYY-MM-DD_HH:MM:SS.xxxxx` and a space, as svlogd writes it; BETWEEN is what stands between day and time."""
    return f"{_day(calendar, '-')}{between}{_clock(calendar)}.{ns % NANO // 10000:05d} ".encode()


def _day(calendar: Sequence[int], dash: str) -> str:
    year, month, day = calendar[:3]
    return f"{year:04d}{dash}{month:02d}{dash}{day:02d}"


def _clock(calendar: Sequence[int]) -> str:
    hour, minute, second = calendar[3:6]
    return f"{hour:02d}:{minute:02d}:{second:02d}"


class TooMuch(Exception):
    """A block of so many lines would grow too much; one of fewer would not."""


def before_each(head: bytes, block: bytes, most: int = 0) -> bytes:
    """The block with HEAD before each of its lines. TooMuch when that adds more than MOST bytes, unless that is 0."""
    text, size = stamped(head, block, most)
    return text if size == len(text) else text[:size]


def stamped(head: bytes, block: bytes, most: int = 0) -> tuple[bytes, int]:
    """The same for who can do without a copy: a text, and how many of its bytes count."""
    if not head or not block:
        return block, len(block)
    count = most // len(head) + 1 if most else -1  # `bytes.count` takes twice as long as this replacement
    text = b"".join((head, block)).replace(b"\n", b"\n" + head, count)
    if len(text) - len(block) == (count + 1) * len(head):
        raise TooMuch
    return text, len(text) - len(head) * block.endswith(b"\n")
