"""death_tally: when and how the last runs of a service died. Pure.

A record is 14 bytes: TAI64N, exit code, signal; after a signal n the code is 128 + n (`spec/supervision.md` 1.3).
"""

from __future__ import annotations

from initfs import signals, tai
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TALLY = "supervise/death_tally"
RECORD = 14
MOST = 4096  # records that a tally may hold
SIZE = RECORD * MOST
OFFSET = tai.LEAP  # what the supervisor's stamps count from


@value
class Death:
    """One end of ./run: nanoseconds since 1970, the exit code (128 + signal after one), the signal or 0."""

    when: int
    code: int
    signum: int


def decode(data: bytes) -> list[Death]:
    """The deaths in a tally, oldest first. ValueError for a damaged one."""
    if len(data) % RECORD:
        raise ValueError(f"{len(data)} bytes are not whole records")
    records = [data[start : start + RECORD] for start in range(0, len(data), RECORD)]
    return [Death(tai.unpack(record, OFFSET), record[12], record[13]) for record in records]


def line(death: Death, *, numeric: bool) -> str:
    """A death in words: a label for tai64nlocal, and how."""
    stamp = tai.label(death.when)
    if not death.signum:
        return f"{stamp} exitcode {death.code}"
    return f"{stamp} signal {death.signum if numeric else 'SIG' + signals.name(death.signum)}"


def events(text: str) -> frozenset[tuple[str, int]] | None:
    """The events that a list such as `1-5,100,SIGSEGV` names, as ("code", n) and ("signal", n); None for a wrong list."""
    found: set[tuple[str, int]] = set()
    for word in text.split(","):
        first, dash, last = word.partition("-")
        low, high = _code(first), _code(last if dash else first)
        if low is not None and high is not None and low <= high:
            found |= {("code", code) for code in range(low, high + 1)}
            continue
        signum = None if word[:1].isdigit() else signals.number(word)
        if signum is None:
            return None
        found.add(("signal", signum))
    return frozenset(found)


def _code(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < 256 else None


def matching(deaths: Iterable[Death], wanted: frozenset[tuple[str, int]], since: int) -> int:
    """How many deaths not before SINCE (nanoseconds) are WANTED. A code of 129 and more also means a signal."""
    return sum(
        death.when >= since and (("code", death.code) in wanted or ("signal", death.signum) in wanted)
        for death in deaths
    )
