"""Sets of services: what is prescribed for each, and whether that fits together. Pure.

A prescription is a level: masked services are not in the database, usable ones are, active ones are also in the default bundle, those of the
level always cannot be lowered by mistake. A set fits together when no service is above one that it depends on, and all parts of a
pipeline are masked, or none. Source: `spec/service-manager.md` 6.10.
"""

from __future__ import annotations

from initfs.manager import graph
from initfs.manager.model import ESSENTIAL, INTERNAL, RECOMMENDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from initfs.manager.query import Index

    Levels = dict[int, int]  # number: level

MASKED, USABLE, ACTIVE, ALWAYS = 0, 1, 2, 3
NAMES = ("masked", "usable", "active", "always")
ALIASES = {
    "mask": MASKED, "suppress": MASKED, "unmask": USABLE, "unmasked": USABLE,
    "latent": USABLE, "disable": USABLE, "disabled": USABLE, "inactive": USABLE, "deactivate": USABLE,
    "enable": ACTIVE, "enabled": ACTIVE, "activate": ACTIVE, "onboot": ACTIVE, "essential": ALWAYS, "make-essential": ALWAYS,
}  # fmt: skip
LEVELS = {name: level for level, name in enumerate(NAMES)} | ALIASES


class Invalid(ValueError):
    """A set that can't be used; its text says why."""


def default(flags: int) -> int:
    """The level of a service that nobody has prescribed anything for."""
    return ALWAYS if flags & ESSENTIAL else ACTIVE if flags & RECOMMENDED else USABLE


def services(index: Index) -> range:
    """The numbers that are in sets: all but the manager's own."""
    return range(len(INTERNAL), len(index.database))


def fresh(index: Index) -> Levels:
    """A new set."""
    return {number: default(index.database.flags[number]) for number in services(index)}


def encode(index: Index, levels: Mapping[int, int]) -> str:
    """A set as the text of its file: `level name`, sorted by name."""
    lines = sorted((index.database.names[number], NAMES[level]) for number, level in levels.items())
    return "".join(f"{level} {name}\n" for name, level in lines)


def decode(text: str) -> dict[str, int]:
    """{name: level} of a set's file. Invalid."""
    found: dict[str, int] = {}
    for line in text.split("\n"):
        level, _, name = line.partition(" ")
        if not line:
            continue
        if level not in NAMES or not name:
            raise Invalid(f"not a line of a set: {line!r}")
        found[name] = NAMES.index(level)
    return found


def numbered(index: Index, named: Mapping[str, int]) -> Levels:
    """The set by number. Invalid when it is not about just the services of the database."""
    every = {index.database.names[number] for number in services(index)}
    if named.keys() != every:
        odd = min(named.keys() ^ every)
        raise Invalid(f"it is out of step with the stores, at {odd}: repo-sync mends it")
    return {index.number[name]: level for name, level in named.items()}


def synced(index: Index, named: Mapping[str, int]) -> Levels:
    """The set after its stores changed: what is gone is out, what is new is at its default."""
    return {
        number: named.get(index.database.names[number], default(index.database.flags[number]))
        for number in services(index)
    }


def conflicts(index: Index, levels: Mapping[int, int]) -> list[tuple[int, int]]:
    """(service, dependency) where the service is above what it depends on; also parts of a pipeline that differ in being masked."""
    found = [
        (number, other)
        for number, level in sorted(levels.items())
        for other in index.database.depends[number]
        if other in levels and levels[other] < level
    ]
    for consumer, producers in index.database.pipes:
        found += [
            (consumer, number)
            for number in producers
            if (levels[number] == MASKED) > (levels[consumer] == MASKED)
        ]
    return found


def moved(
    index: Index, levels: Mapping[int, int], numbers: Iterable[int], level: int, *, pull: bool
) -> Levels:
    """The set with these services at LEVEL; PULL: with what they need raised, and what needs them lowered, as far as it must be.

    A pipeline is masked as a whole, whoever pulls.
    """
    result = dict(levels)
    pending = [number for number in numbers if number in levels]
    for number in pending:
        result[number] = level
    if level == MASKED or pull:
        _pull(index, result, pending, level, pull=pull)
    return result


def _pull(index: Index, result: Levels, pending: list[int], level: int, *, pull: bool) -> None:
    linked = _linked(index)
    pending = list(pending)
    while pending:
        number = pending.pop()
        for other in linked.get(number, ()):
            if (result[other] == MASKED) != (level == MASKED):
                result[other] = level
                pending.append(other)
        for other in index.database.depends[number] if pull else ():
            if other in result and result[other] < result[number]:
                result[other] = result[number]
                pending.append(other)
        for other in index.dependents[number] if pull else ():
            if other in result and result[other] > result[number]:
                result[other] = result[number]
                pending.append(other)


def _linked(index: Index) -> dict[int, list[int]]:
    """The neighbours of each service in its pipeline."""
    found: dict[int, list[int]] = {}
    for consumer, producers in index.database.pipes:
        for number in producers:
            found.setdefault(number, []).append(consumer)
            found.setdefault(consumer, []).append(number)
    return found


def fixed(index: Index, levels: Mapping[int, int], *, up: bool) -> Levels:
    """The set made to fit together: dependencies raised if UP, else dependents lowered; masked pipelines whole."""
    result = dict(levels)
    order = [number for number in graph.order(index.database.depends)[0] if number in result]
    linked = _linked(index)
    while True:
        before = dict(result)
        for number in reversed(order) if up else order:
            for other in index.database.depends[number]:
                if other in result and result[other] < result[number]:
                    result[other if up else number] = result[number if up else other]
        for number in order:
            for other in linked.get(number, ()):
                if result[number] == MASKED != result[other]:
                    result[number if up else other] = USABLE if up else MASKED
        if result == before:
            return result


def forced(before: Mapping[int, int], after: Mapping[int, int]) -> list[int]:
    """The services that a change moves to or from the level always."""
    return [
        number
        for number in sorted(after)
        if before[number] != after[number] and ALWAYS in (before[number], after[number])
    ]
