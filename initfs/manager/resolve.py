"""Definitions, made into a database: names become numbers, bundles their members. Pure. All that is wrong is found in one go.

Source: `spec/service-manager.md` 6.2 and 6.3.
"""

from __future__ import annotations

from initfs.manager import graph
from initfs.manager.model import (
    BUNDLE,
    ESSENTIAL,
    FDHOLDER,
    INTERNAL,
    LONGRUN,
    ONESHOT,
    RUNNER,
    Database,
    Definition,
    Fault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

UNDEFINED = "a service, bundle or pipeline that one of the sources defines"


def resolve(
    definitions: Sequence[Definition], user: str = "", broken: AbstractSet[str] = frozenset()
) -> tuple[Database, list[Fault]]:
    """The Database of these definitions, and their faults: with any of those it is not to be used.

    BROKEN are names whose definitions are so wrong that they are missing here: that they are undefined is nobody else's fault.
    """
    return _Resolution(definitions, broken).database(user)


class _Resolution:
    def __init__(self, definitions: Sequence[Definition], broken: AbstractSet[str]) -> None:
        self.broken = broken
        self.faults: list[Fault] = []
        self.named: dict[str, Definition] = {}
        internal = [Definition(name, LONGRUN, "", ESSENTIAL) for name in INTERNAL]
        for one in (*internal, *definitions):
            self._name(one)
        every = list(self.named.values())
        longruns = [one for one in every if one.kind == LONGRUN]
        self.longruns = len(longruns)
        self.atomic = longruns + [one for one in every if one.kind == ONESHOT]
        self.numbers = {one.name: number for number, one in enumerate(self.atomic)}
        self.bundles = [one for one in every if one.kind == BUNDLE]
        for one in reversed(longruns):
            if one.pipeline:
                self._name_pipeline(one)
        self.members: dict[str, frozenset[int]] = {}

    def database(self, user: str) -> tuple[Database, list[Fault]]:
        self._resolve_bundles()
        edges = [self._depends(one) for one in self.atomic]
        pipes = self._pipes()
        self._check_cycles(edges)
        return self._made(edges, pipes, user), self.faults

    def _made(self, edges: list[tuple[int, ...]], pipes: dict[int, tuple[int, ...]], user: str) -> Database:
        oneshots = self.atomic[self.longruns :]
        return Database(
            self.longruns,
            tuple(one.name for one in self.atomic),
            self._flags(),
            tuple(one.timeouts for one in self.atomic),
            tuple(edges),
            tuple((one.scripts[0].words, one.scripts[1].words, one.scripts[2].words) for one in oneshots),
            tuple(tuple(index for index in range(3) if one.scripts[index].text) for one in oneshots),
            tuple(sorted(pipes.items())),
            tuple((one.name, tuple(sorted(self.members[one.name]))) for one in self.bundles),
            user,
        )

    def _name(self, one: Definition) -> None:
        known = self.named.setdefault(one.name, one)
        if known is not one:
            self._fault(
                one.place,
                f"the name is taken: {known.place} is a {known.kind}",
                "one definition for each name",
            )

    def _name_pipeline(self, last: Definition) -> None:
        """The bundle of all that ends in the consumer LAST."""
        bundle = Definition(
            last.pipeline, BUNDLE, f"{last.place}/pipeline-name", contents=self._upstream(last)
        )
        known = self.named.setdefault(last.pipeline, bundle)
        if known is bundle:
            self.bundles.append(bundle)
        else:
            self._fault(
                bundle.place,
                f"the name {last.pipeline} is taken: {known.place} is a {known.kind}",
                "a new name",
            )

    def _upstream(self, last: Definition) -> tuple[str, ...]:
        found: dict[str, None] = {}
        pending = [last.name]
        while pending:
            name = pending.pop()
            one = self.named.get(name)
            if name not in found and one is not None and one.kind == LONGRUN:
                found[name] = None
                pending += one.producers
        return tuple(found)

    # Bundles --------------------------------------------------------------------------------------

    def _resolve_bundles(self) -> None:
        """Members of members, innermost first."""
        index = {one.name: number for number, one in enumerate(self.bundles)}
        edges = [[index[name] for name in one.contents if name in index] for one in self.bundles]
        inner_first, cycles = graph.order(edges)
        for cycle in cycles:
            names = [self.bundles[number].name for number in cycle]
            self._cycle(self.bundles[cycle[0]].place, "bundles contain each other", names)
        for number in inner_first:
            one = self.bundles[number]
            members: set[int] = set()
            for name in one.contents:
                members |= self._atomics(one, "contents", name)
            self.members[one.name] = frozenset(members)

    def _atomics(self, one: Definition, what: str, name: str) -> frozenset[int]:
        """The numbers that NAME stands for in the list WHAT of ONE."""
        number = self.numbers.get(name)
        if number is not None:
            return frozenset((number,))
        if name in self.named or name in self.broken:
            return self.members.get(name, frozenset())
        self._fault(f"{one.place}/{what}", f"undefined: {name}", UNDEFINED)
        return frozenset()

    # Services -------------------------------------------------------------------------------------

    def _depends(self, one: Definition) -> tuple[int, ...]:
        """Its direct dependencies, the implied ones included: a producer needs its consumer, both the descriptor holder."""
        found: set[int] = set()
        for name in one.depends:
            number = self.numbers.get(name)
            if number is not None:
                found.add(number)
            else:
                found |= self._atomics(one, "dependencies", name)
        if one.kind == ONESHOT:
            found.add(self.numbers[RUNNER])
        if one.consumer:
            found |= self._atomics(one, "producer-for", one.consumer)
        if one.consumer or one.producers:
            found.add(self.numbers[FDHOLDER])
        return tuple(sorted(found))

    def _pipes(self) -> dict[int, tuple[int, ...]]:
        """{consumer: its producers}; both sides must say so."""
        for one in self.atomic[: self.longruns]:
            if one.consumer and self._longrun(one, "producer-for", one.consumer):
                other = self.named[one.consumer]
                if one.name not in other.producers:
                    self._one_sided(one, "producer-for", other, "consumer-for")
            for name in one.producers:
                if self._longrun(one, "consumer-for", name):
                    other = self.named[name]
                    if other.consumer != one.name:
                        self._one_sided(one, "consumer-for", other, "producer-for")
        return {
            number: tuple(self.numbers[name] for name in _producers(one) if name in self.numbers)
            for number, one in enumerate(self.atomic)
            if one.producers
        }

    def _longrun(self, one: Definition, file: str, name: str) -> bool:
        other = self.named.get(name)
        if other is not None and other.kind == LONGRUN:
            return True
        if other is not None:
            self._fault(
                f"{one.place}/{file}", f"{name} is a {other.kind}", "a longrun: only longruns have pipes"
            )
        elif (
            file == "consumer-for" and name not in self.broken
        ):  # for the other, it is an undefined dependency already
            self._fault(
                f"{one.place}/{file}", f"undefined: {name}", "a longrun that one of the sources defines"
            )
        return False

    def _one_sided(self, one: Definition, file: str, other: Definition, back: str) -> None:
        have = f"it has {other.consumer}" if back == "producer-for" and other.consumer else "it does not"
        right = f"{one.name} in {other.place or other.name}/{back}"
        self._fault(f"{one.place}/{file}", f"{other.name} does not say so in its {back}: {have}", right)

    def _flags(self) -> tuple[int, ...]:
        """A bundle's flags are flags of all its members."""
        flags = [one.flags for one in self.atomic]
        for bundle in self.bundles:
            for number in self.members[bundle.name] if bundle.flags else ():
                flags[number] |= bundle.flags
        return tuple(flags)

    def _check_cycles(self, edges: list[tuple[int, ...]]) -> None:
        for cycle in graph.order(edges)[1]:
            names = [self.atomic[number].name for number in cycle]
            what = "a pipeline is a cycle" if self._is_pipeline(names) else "services depend on each other"
            self._cycle(self.named[names[0]].place, what, names)

    def _is_pipeline(self, names: list[str]) -> bool:
        return all(self.named[name].consumer == names[at + 1] for at, name in enumerate(names[:-1]))

    def _cycle(self, place: str, what: str, names: list[str]) -> None:
        self._fault(place, f"{what}: {' -> '.join(names)}", "leave out one of these steps")

    def _fault(self, place: str, what: str, right: str = "") -> None:
        self.faults.append(Fault(place, what, right))


def _producers(one: Definition) -> tuple[str, ...]:
    """In the order in which s6-rc-db tells them: at the end of a pipeline the first one comes last."""
    return one.producers if one.consumer else (*one.producers[1:], *one.producers[:1])
