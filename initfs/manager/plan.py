"""Bringing a set of services up or down, in order: which transitions are possible now, and what follows from each result. Pure.

Theory. A change has one or two *phases*. A phase goes in one direction: up, from dependencies to dependents, or down, the other way. Each
service of the graph counts how many of those before it (dependencies when going up, dependents when going down) have not *passed* yet. A
service passes when it is known to be in the state that the phase wants; one that is to change, and before which nothing is left,
is *possible*: it is handed out at once, so that all goes as parallel as the graph allows. What fails does not pass, so nothing behind it is ever handed
out, and the others go on. Hence the invariant: no service is brought up whose dependencies are not all up, none down while a dependent is up.

An essential service is not brought down unless forced: it does not pass either, so what it needs stays up, and that is no failure.

Source: `spec/service-manager.md` 6.7, change.
"""

from __future__ import annotations

from initfs.manager import graph
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from initfs.manager.query import Index

UP, EXPLICIT = 1, 2  # bits of the state byte
MEANT = UP | EXPLICIT


@value
class Phase:
    """One direction: the services that are to be up, or down."""

    up: bool
    services: frozenset[int]


def phases(index: Index, selection: AbstractSet[int], *, down: bool, prune: bool) -> list[Phase]:
    """What a change of SELECTION means, in order.

    Up: it and all that it needs. Down: it and all that needs it. With PRUNE also the opposite for all others; the way down is first.
    """
    closed = frozenset(graph.closure(index.edges(down=down), selection))
    if not prune:
        return [Phase(not down, closed)]
    others = frozenset(range(len(index.database))) - closed
    return [Phase(False, closed if down else others), Phase(True, others if down else closed)]


class Change:
    """One phase under way. `up` is what is known to be up; the caller owns it and may look at any time."""

    def __init__(
        self,
        dependencies: Sequence[Sequence[int]],
        dependents: Sequence[Sequence[int]],
        phase: Phase,
        up: set[int],
        kept: AbstractSet[int] = frozenset(),
    ) -> None:
        """KEPT are the essential services, that a phase down leaves as they are."""
        self.phase = phase
        self.up = up
        self.running: set[int] = set()
        self.failed: set[int] = set()
        self.spared: list[int] = []  # essential services that would have been brought down
        self.already: list[int] = []  # what was as wanted
        self._kept = frozenset() if phase.up else kept
        self._after = dependents if phase.up else dependencies
        self._before = [len(row) for row in (dependencies if phase.up else dependents)]
        self._stopped = False

    def begin(self) -> list[int]:
        """The transitions that are possible at first."""
        return self._possible([number for number in sorted(self.phase.services) if not self._before[number]])

    def succeeded(self, number: int) -> list[int]:
        """NUMBER is now as wanted; the transitions that this makes possible."""
        self.running.discard(number)
        if self.phase.up:
            self.up.add(number)
        else:
            self.up.discard(number)
        return self._possible(self._pass(number))

    def fail(self, number: int) -> None:
        """NUMBER is not as wanted, and nothing that waits for it will be tried."""
        self.running.discard(number)
        self.failed.add(number)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True

    def _pass(self, number: int) -> list[int]:
        """Count it out; who has nothing left to wait for now."""
        free = []
        for other in self._after[number]:
            self._before[other] -= 1
            if not self._before[other] and other in self.phase.services:
                free.append(other)
        return free

    def _possible(self, free: Iterable[int]) -> list[int]:
        """Of those that have nothing left to wait for, the ones to change; what is as wanted passes at once."""
        found: list[int] = []
        pending = list(free)
        for number in pending:
            if (number in self.up) == self.phase.up:
                self.already.append(number)
                pending += self._pass(number)
            elif number in self._kept:
                self.spared.append(number)
            elif not self._stopped:
                found.append(number)
        self.running.update(found)
        return found


def limit(timeout: int, now: float, deadline: float) -> float:
    """When a transition that begins NOW must be over: its own milliseconds (0: any number), but not after DEADLINE (monotonic seconds)."""
    return min(deadline, now + timeout / 1000) if timeout else deadline


def rounds(
    index: Index, order: Sequence[Phase], up: AbstractSet[int], kept: AbstractSet[int]
) -> list[list[tuple[bool, int]]]:
    """What a change would do if all went well: (whether it is brought up, number) of what can go on at the same time, round after round."""
    known = set(up)
    found: list[list[tuple[bool, int]]] = []
    for phase in order:
        change = Change(index.database.depends, index.dependents, phase, known, kept)
        possible = change.begin()
        while possible:
            found.append([(phase.up, number) for number in possible])
            possible = [after for number in possible for after in change.succeeded(number)]
    return found
