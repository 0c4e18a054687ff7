"""When a line was written, by its stamp; and the moments that people name. Pure: the clock and the calendar are arguments."""

from __future__ import annotations

from initfs import tai

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NANO = 1_000_000_000
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY, CLOCK = 10, 8  # characters of YYYY-MM-DD and HH:MM:SS


def split(line: bytes, local: Callable[[tuple[int, ...]], int], offset: int) -> tuple[int | None, bytes]:
    """(nanoseconds, the line without its stamp) of a line stamped by any logger here; (None, the line) when it has none.

    LOCAL makes POSIX seconds of a local (year, month, day, hour, minute, second); OFFSET is the convention of labels.
    """
    try:
        if line[:1] == b"@":
            moment = tai.parse(line[: tai.LABEL_SIZE].decode("ascii"), offset)
            return moment, line[tai.LABEL_SIZE + 1 :]
        if line[4:5] == b"-" and line[7:8] == b"-":
            return _written(line, local)
    except (ValueError, OverflowError):
        pass
    return None, line


def _written(line: bytes, local: Callable[[tuple[int, ...]], int]) -> tuple[int, bytes]:
    """The same for `YYYY-MM-DD HH:MM:SS.fraction`, local, and with `_` or `T` between, UTC."""
    head, _, rest = line[DAY + 1 + CLOCK + 1 :].partition(b" ")
    between = line[DAY : DAY + 1]
    if line[DAY + 1 + CLOCK : DAY + 2 + CLOCK] != b"." or between not in (b" ", b"_", b"T"):
        raise ValueError("no stamp")
    parts = calendar(line[: DAY + 1 + CLOCK].decode("ascii"))
    seconds = local(parts) if between == b" " else utc(parts)
    return seconds * NANO + int(head.ljust(9, b"0")[:9]), rest.removeprefix(b" ") if between == b" " else rest


def calendar(text: str) -> tuple[int, ...]:
    """(year, month, day, hour, minute, second) of `YYYY-MM-DD[ HH:MM[:SS]]`. ValueError."""
    day, clock = text[:DAY], text[DAY + 1 :]
    numbers = [int(word) for word in day.split("-")] + [int(word) for word in clock.split(":") if word]
    if len(day) != DAY or len(numbers) not in (3, 5, 6) or not 1 <= numbers[1] <= 12:
        raise ValueError(f"not a date: {text}")
    return tuple([*numbers, 0, 0, 0][:6])


def utc(parts: tuple[int, ...]) -> int:
    """POSIX seconds of a UTC calendar moment (days_from_civil, H. Hinnant, "chrono-Compatible Low-Level Date Algorithms")."""
    year, month, day, hour, minute, second = parts
    year -= month <= 2
    of_era = year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = year // 400 * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second


def named(text: str, now: int, local: Callable[[tuple[int, ...]], int]) -> int:
    """The moment that a person names, in nanoseconds: a label, `YYYY-MM-DD[ HH:MM[:SS]]` in local time, or `90s 10m 2h 3d`: so long before NOW.

    ValueError for anything else.
    """
    if text.startswith("@"):
        return tai.parse(text)
    if text[-1:] in UNITS and text[:-1].isdigit():
        return now - int(text[:-1]) * UNITS[text[-1]] * NANO
    return local(calendar(text.replace("T", " "))) * NANO
