"""set-change: move services of a set to another level. Source: `spec/service-manager.md` 6.10."""

from __future__ import annotations

from initfs import say
from initfs.manager.repo import sets
from initfs.manager.repo.commands import Asked, resolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.query import Index

USAGE = "set-change [-v n] [-r repo] [-E|-e] [-n] [-f] [-I|-i] [-P|-p] set level service..."
LONG = {
    "no-force-essential": "E",
    "force-essential": "e",
    "dry-run": "n",
    "force": "f",
    "no-fail-on-dependencies": "I",
    "fail-on-dependencies": "i",
    "no-pull-dependencies": "P",
    "pull-dependencies": "p",
}


def main(argv: list[str]) -> int:
    asked = Asked(argv, "EenfIiPp", USAGE, LONG, 3)
    name, word, *services = asked.rest
    if word not in sets.LEVELS:
        raise say.Fatal(say.USAGE, f"{word!r} is none of {' '.join(sets.LEVELS)}")
    force = asked.last("Ee") == "e"
    if sets.LEVELS[word] == sets.ALWAYS and not force:
        raise say.Fatal(say.USAGE, "nothing is moved to always without -e")
    repository = asked.repository(write=not asked.has("n"))
    index = repository.index()
    before = repository.levels(index, name)
    fail = asked.last("Ii") == "i"
    pull = asked.last("Pp") == "p" and not fail
    after = sets.moved(index, before, resolved(index, services), sets.LEVELS[word], pull=pull)
    check_essential(index, before, after, force=force)
    _tell_pulled(asked, index, before, after, resolved(index, services))
    bad = sets.conflicts(index, after)
    new = [pair for pair in bad if resolved(index, services).intersection(pair)]
    if new and fail:
        say.fatal(f"{name} would not fit together; nothing is changed")
        tell(index, new, after)
        return say.NO
    if bad and asked.verbosity:
        tell(index, bad, after)
    if not asked.has("n") and (after != before or asked.has("f")):
        repository.write_set(index, name, after)
    return say.OK


def check_essential(index: Index, before: dict[int, int], after: dict[int, int], *, force: bool) -> None:
    """say.Fatal 1 when services move to or from the level always without FORCE."""
    moved = sets.forced(before, after)
    if moved and not force:
        names = " ".join(index.database.names[number] for number in moved)
        raise say.Fatal(say.NO, f"to or from always only with -e: {names}")


def tell(index: Index, pairs: list[tuple[int, int]], levels: dict[int, int]) -> None:
    """Say what does not fit together."""
    names = index.database.names
    for number, other in pairs:
        what = f"{names[number]} is {sets.NAMES[levels[number]]}, but {names[other]}"
        say.warning(f"{what}, which it needs, is {sets.NAMES[levels[other]]}")


def _tell_pulled(
    asked: Asked, index: Index, before: dict[int, int], after: dict[int, int], named: set[int]
) -> None:
    for number in sorted(after) if asked.verbosity >= 2 or asked.has("n") else ():
        if before[number] != after[number]:
            why = "" if number in named else " as well"
            names = f"{sets.NAMES[before[number]]} -> {sets.NAMES[after[number]]}"
            say.info(f"{index.database.names[number]}: {names}{why}")
