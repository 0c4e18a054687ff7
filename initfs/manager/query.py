"""What can be asked of a database. Pure: numbers and names in, numbers and names out.

Source: `spec/service-manager.md` 6.5; the order of the answers is s6-rc-db's.
"""

from __future__ import annotations

from initfs.manager import graph
from initfs.manager.model import BUNDLE, ESSENTIAL, LONGRUN, ONESHOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from initfs.manager.model import Database, Numbers


class Unknown(Exception):
    """A name that the database does not have."""


class WrongType(Exception):
    """A question that makes no sense for this kind of service; its text says which kind it is."""


class Index:
    """A database, prepared to find names and neighbours."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.number = {name: number for number, name in enumerate(database.names)}
        self.bundles = dict(database.bundles)
        self._dependents: Sequence[Numbers] | None = None

    @property
    def dependents(self) -> Sequence[Numbers]:
        """Who depends on each service directly."""
        if self._dependents is None:
            self._dependents = graph.reverse(self.database.depends)
        return self._dependents

    def edges(self, *, down: bool) -> Sequence[Numbers]:
        """What each depends on, or DOWN: what depends on it."""
        return self.dependents if down else self.database.depends

    def atomics(self, name: str) -> Numbers:
        """The services that a name stands for."""
        number = self.number.get(name)
        if number is not None:
            return (number,)
        if name not in self.bundles:
            raise Unknown(name)
        return self.bundles[name]

    def union(self, names: Iterable[str]) -> set[int]:
        """The services that any of these names stands for."""
        return {number for name in names for number in self.atomics(name)}

    def atomic(self, name: str, *kinds: str) -> int:
        """The number of a service of one of KINDS."""
        kind = self.kind(name)
        if kind not in kinds:
            raise WrongType(f"{name} is a {kind}")
        return self.number[name]

    def kind(self, name: str) -> str:
        number = self.number.get(name)
        if number is None:
            if name not in self.bundles:
                raise Unknown(name)
            return BUNDLE
        return LONGRUN if number < self.database.longruns else ONESHOT

    def contents(self, name: str) -> Numbers:
        """The members of a bundle."""
        if self.kind(name) != BUNDLE:
            raise WrongType(f"{name} is a {self.kind(name)}")
        return self.bundles[name]

    def neighbours(self, names: Iterable[str], *, down: bool) -> set[int]:
        """The direct dependencies of all these together, or DOWN: their direct dependents."""
        edges = self.edges(down=down)
        return {other for number in self.union(names) for other in edges[number]}

    def essential(self, number: int) -> bool:
        return bool(self.database.flags[number] & ESSENTIAL)

    def pipeline(self, name: str) -> list[tuple[int, int]]:
        """The (producer, consumer) pairs of the whole pipeline that a longrun is in, upstream first."""
        producers = dict(self.database.pipes)
        consumer = {producer: number for number, row in self.database.pipes for producer in row}
        at = self.atomic(name, LONGRUN)
        while at in consumer:
            at = consumer[at]
        found: list[tuple[int, int]] = []
        pending = [(at, at)]
        while pending:
            number, its = pending.pop()
            found.append((number, its))
            pending += [(producer, number) for producer in producers.get(number, ())]
        return found[:0:-1]

    def listing(self, which: str) -> list[str]:
        """The names that `list WHICH` prints."""
        names, longruns = self.database.names, self.database.longruns
        match which:
            case "services":
                return list(names)
            case "longruns":
                return list(names[:longruns])
            case "oneshots":
                return list(names[longruns:])
            case "bundles":
                return list(self.bundles)[::-1]
            case _:
                return [*names[::-1], *list(self.bundles)[::-1]]


def described(index: Index, number: int) -> dict[str, Any]:
    """All that the database says of one service, for JSON."""
    database = index.database
    name = database.names[number]

    def names(numbers: Iterable[int]) -> list[str]:
        return [database.names[other] for other in sorted(numbers)]

    found: dict[str, Any] = {
        "name": name,
        "number": number,
        "type": index.kind(name),
        "flags": database.flags[number],
        "essential": bool(database.flags[number] & 1),
        "recommended": bool(database.flags[number] & 2),
        "timeout_up": database.timeouts[number][1],
        "timeout_down": database.timeouts[number][0],
        "dependencies": names(database.depends[number]),
        "all_dependencies": names(graph.closure(database.depends, (number,)) - {number}),
        "dependents": names(index.dependents[number]),
        "bundles": [bundle for bundle, members in database.bundles if number in members],
    }
    if number < database.longruns:
        pairs = index.pipeline(name)
        found["pipeline"] = [[database.names[one], database.names[other]] for one, other in pairs]
    else:
        down, up, reload = database.scripts[number - database.longruns]
        found["scripts"] = {"up": up, "down": down, "reload": reload}
    return found
