"""The table of a descriptor holder: identifiers, descriptors, moments of expiry. Pure: closing what it lets go is its caller's.

Moments are CLOCK_MONOTONIC seconds: a clock that is set must not make a descriptor expire. Answers are errno numbers, 0 for done.
"""

from __future__ import annotations

from errno import EBUSY, ENFILE, ENOENT

from initfs.local.fdholder.protocol import Entry
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER = float("inf")
NANO = 1_000_000_000


@value
class Held:
    """A descriptor, and when it is to be closed."""

    descriptor: int
    expiry: float = NEVER


class Holding:
    """At most MOST descriptors, each under a name of its own."""

    __slots__ = ("_held", "_soonest", "most")

    def __init__(self, most: int) -> None:
        self._held: dict[bytes, Held] = {}
        self._soonest = NEVER  # nothing expires before
        self.most = most

    def __len__(self) -> int:
        return len(self._held)

    def get(self, name: bytes) -> Held | None:
        return self._held.get(name)

    def names(self) -> list[bytes]:
        return list(self._held)

    def items(self) -> list[tuple[bytes, Held]]:
        return list(self._held.items())

    def store(self, name: bytes, held: Held) -> int:
        """Take a descriptor: 0, EBUSY when the name is in use, ENFILE when there is no room."""
        if name in self._held:
            return EBUSY
        if len(self._held) >= self.most:
            return ENFILE
        self.put(name, held)
        return 0

    def room_for(self, names: Iterable[bytes]) -> bool:
        """Whether all of these can be put: those that are there are replaced."""
        return len(self._held.keys() | set(names)) <= self.most

    def put(self, name: bytes, held: Held) -> Held | None:
        """Take a descriptor whatever is there; returns what was there, for the caller to close."""
        former = self._held.get(name)
        self._held[name] = held
        self._soonest = min(self._soonest, held.expiry)
        return former

    def delete(self, name: bytes) -> Held | int:
        """Let go of a descriptor: what was held, or ENOENT."""
        return self._held.pop(name, ENOENT)

    def expire(self, now: float) -> list[tuple[bytes, Held]]:
        """Let go of all whose time has come."""
        if now < self._soonest:
            return []  # a turn must not cost more for a thousand descriptors than for one
        gone = [(name, held) for name, held in self._held.items() if held.expiry <= now]
        for name, _ in gone:
            del self._held[name]
        self._soonest = min((held.expiry for held in self._held.values()), default=NEVER)
        return gone

    def next_expiry(self) -> float:
        """When `expire` is to be called next. What was deleted may make it find nothing to do."""
        return self._soonest


def expiry(limit: int | None, now: float, clock: int) -> float:
    """The monotonic moment of a LIMIT by the clock on the wall, which shows CLOCK (both ns) at the moment NOW."""
    return NEVER if limit is None else now + (limit - clock) / NANO


def entry(name: bytes, held: Held, now: float, clock: int) -> Entry:
    """What a dump says of a held descriptor: the other way round."""
    return Entry(name, None if held.expiry == NEVER else clock + int((held.expiry - now) * NANO))
