"""What a server and its assistant say to each other, and when a server wants one. Pure.

    server       + job (8 bytes)  NAME=value NUL...    start the program for the connection that travels along
                 ! signals (1 byte each)               send these to all that run
    assistant    records of letter, job (8), number (4):  + pid it runs,  - wait status it has ended,  ? errno it could not be started

Each is a datagram between a process and its copy: no other program ever speaks it.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RECORD = 13
AT_ONCE = 300  # records in a datagram
BEGAN, ENDED, FAILED = b"+", b"-", b"?"
CROWD = 32  # connections in a row
GAP = 0.02  # seconds between two of them at most
IDLE = 10.0  # seconds


def job(number: int, variables: Mapping[bytes, bytes]) -> bytes:
    """The request to start the program with these VARIABLES as well."""
    return b"+%b%b" % (number.to_bytes(8, "big"), b"\0".join(map(b"=".join, variables.items())))


def signal(signums: Sequence[int]) -> bytes:
    """The request to signal all programs."""
    return b"!" + bytes(signums)


@value
class Job:
    """A request to start the program."""

    number: int
    variables: dict[bytes, bytes]


def request(data: bytes) -> Job | bytes:
    """What was asked for: a job, or the signals to send."""
    if data[:1] == b"!":
        return data[1:]
    variables: dict[bytes, bytes] = {}
    for word in data[9:].split(b"\0"):
        name, _, text = word.partition(b"=")
        variables[name] = text
    return Job(int.from_bytes(data[1:9], "big"), variables)


def record(letter: bytes, number: int, detail: int) -> bytes:
    """A part of a report."""
    return letter + number.to_bytes(8, "big") + detail.to_bytes(4, "big")


def records(report: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The (letter, job, number) of each part of a REPORT."""
    for at in range(0, len(report), RECORD):
        yield (
            report[at : at + 1],
            int.from_bytes(report[at + 1 : at + 9], "big"),
            int.from_bytes(report[at + 9 : at + RECORD], "big"),
        )


class Crowd:
    """Whether connections come so fast that a second process to start their programs is worth its memory."""

    __slots__ = ("_last", "_row")

    def __init__(self) -> None:
        self._last, self._row = 0.0, 0

    def came(self, now: float) -> bool:
        """A connection came NOW (seconds): whether there is a crowd."""
        self._row = self._row + 1 if now - self._last <= GAP else 1
        self._last = now
        return self._row >= CROWD

    def over(self) -> float:
        """When the crowd will have been gone for long, if nobody comes."""
        return self._last + IDLE
