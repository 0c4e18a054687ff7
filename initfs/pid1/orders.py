"""What `shutdown` and its like write to process 1's FIFO, and back: the protocol of shutdownd (`spec/init.md` 7.7). Pure.

    S h p r    one byte: single, halt, poweroff, reboot; then 12 bytes: the time until then (s6's relative tain, 2^62 added to the
               seconds), and 4: grace between TERM and KILL in milliseconds, big-endian, 0 or too many: the default
    c          cancel
    f          ours: go to failsafe mode

An order is shorter than PIPE_BUF, so that orders of several writers never mix (pipe(7)).
"""

from __future__ import annotations

import struct

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

LAYOUT = struct.Struct(">cQII")
LETTERS = {"single": b"S", "halt": b"h", "poweroff": b"p", "reboot": b"r"}
MODES = {letter: mode for mode, letter in LETTERS.items()}
EPOCH = 1 << 62  # of TAI64 labels
GRACE_MAX = 300_000  # milliseconds
LONGEST = 10 * 366 * 86400.0  # seconds: more is no time that anybody means


@value
class End:
    """Halt, poweroff, reboot, or single, after so many seconds; grace in seconds, 0.0: the default."""

    mode: str
    after: float = 0.0
    grace: float = 0.0


@value
class Cancel:
    """Take back what waits."""


@value
class Failsafe:
    """Leave everything but what a person needs to get in."""


if TYPE_CHECKING:
    Order: TypeAlias = End | Cancel | Failsafe


def encode(order: Order) -> bytes:
    """The order as bytes."""
    match order:
        case End(mode, after, grace):
            seconds = int(after)
            nano = int((after - seconds) * 1_000_000_000)
            return LAYOUT.pack(LETTERS[mode], EPOCH + seconds, nano, int(grace * 1000))
        case Cancel():
            return b"c"
        case _:
            return b"f"


def decode(data: bytes) -> tuple[list[Order], bytes, int]:
    """(the orders in DATA, an unfinished rest, how many bytes made no sense)."""
    found: list[Order] = []
    wrong = 0
    while data:
        letter = data[:1]
        if letter in MODES:
            if len(data) < LAYOUT.size:
                break
            order = _end(data)
            if order is None:
                wrong += LAYOUT.size
            else:
                found.append(order)
            data = data[LAYOUT.size :]
            continue
        if letter == b"c":
            found.append(Cancel())
        elif letter == b"f":
            found.append(Failsafe())
        else:
            wrong += 1
        data = data[1:]
    return found, data, wrong


def _end(data: bytes) -> End | None:
    letter, seconds, nano, grace = LAYOUT.unpack_from(data)
    after = seconds - EPOCH + nano / 1_000_000_000
    if not -LONGEST < after < LONGEST:
        return None
    return End(MODES[letter], max(after, 0.0), grace / 1000 if grace <= GRACE_MAX else 0.0)
