"""TAI64N: a moment as twelve bytes, or as the label `@` and 24 hexadecimal digits. Pure: the clock is an argument.

Moments are CLOCK_REALTIME nanoseconds since 1970 (`time.time_ns()`). Two conventions exist for the seconds, and a writer
and its reader must hold the same one, or the times differ by 27 seconds (`spec/logging.md` 2.4):

    2**62 + 10 + unix                     daemontools, runit, busybox; our status file       offset=DJB
    2**62 + 10 + leap seconds + unix      s6 and our logs and FIFO names                     offset=LEAP
"""

from __future__ import annotations

ORIGIN = 2**62
DJB = 10  # the offset without a table of leap seconds
LEAP = -1  # "look it up in the table"
SIZE = 12
LABEL_SIZE = 25
NANO = 1_000_000_000

# The first POSIX second after each leap second that was ever inserted (IERS Bulletin C; none since 2017).
LEAPS = (
    78796800, 94694400, 126230400, 157766400, 189302400, 220924800, 252460800, 283996800, 315532800,
    362793600, 394329600, 425865600, 489024000, 567993600, 631152000, 662688000, 709948800, 741484800,
    773020800, 820454400, 867715200, 915148800, 1136073600, 1230768000, 1341100800, 1435708800, 1483228800,
)  # fmt: skip
_LAST, _ALL = LEAPS[-1], DJB + len(LEAPS)


def offset_at(unix: int) -> int:
    """TAI minus POSIX time, in seconds, at the POSIX second UNIX: 37 since 2017."""
    return _ALL if unix >= _LAST else DJB + sum(unix >= moment for moment in LEAPS)


def pack(ns: int, offset: int = DJB) -> bytes:
    """The twelve bytes, big-endian, of the moment NS. What 64 bits cannot hold is an OverflowError."""
    seconds, nano = divmod(ns, NANO)
    seconds += ORIGIN + (offset_at(seconds) if offset == LEAP else offset)
    return seconds.to_bytes(8, "big") + nano.to_bytes(4, "big")


def unpack(data: bytes, offset: int = DJB) -> int:
    """The moment in the first twelve bytes of DATA. ValueError for fewer bytes, or nanoseconds of a second or more.

    A leap second itself (23:59:60) is the POSIX second that follows it, as POSIX counts.
    """
    nano = int.from_bytes(data[8:SIZE], "big")
    if len(data) < SIZE or nano >= NANO:
        raise ValueError("not a TAI64N stamp")
    seconds = int.from_bytes(data[:8], "big") - ORIGIN - DJB
    if offset == LEAP:
        seconds -= sum(seconds > moment + before for before, moment in enumerate(LEAPS))
    else:
        seconds -= offset - DJB
    return seconds * NANO + nano


def label(ns: int, offset: int = LEAP) -> str:
    """The 25 characters of the label of the moment NS."""
    return "@" + pack(ns, offset).hex()


def parse(text: str, offset: int = LEAP) -> int:
    """The moment that a label names; ValueError when TEXT is not a label and nothing else."""
    if len(text) != LABEL_SIZE or text[0] != "@" or not text[1:].isalnum():
        raise ValueError("not a TAI64N label")
    return unpack(bytes.fromhex(text[1:]), offset)
