"""set-commit: make a database of a set: what is not masked, and a bundle of what is to be up. Source: `spec/service-manager.md` 6.10."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager import compile as compiling
from initfs.manager import database, disk
from initfs.manager.db import write
from initfs.manager.model import BUNDLE, ESSENTIAL, Definition
from initfs.manager.repo import sets
from initfs.manager.repo.change import tell
from initfs.manager.repo.commands import Asked
from initfs.manager.repo.repository import gather
from initfs.manager.resolve import resolve
from initfs.manager.source import Sources
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initfs.manager.model import Database
    from initfs.manager.repo.repository import Repository

USAGE = "set-commit [-v n] [-r repo] [-D bundle] [-h fdholder_user] [-K] [-f] set"
LONG = {"default-bundle": "D", "fdholder-user": "h", "keep-old": "K", "force": "f"}


def main(argv: list[str]) -> int:
    asked = Asked(argv, "D:h:Kf", USAGE, LONG, 1)
    name, *more = asked.rest
    if more:
        raise say.usage(USAGE)
    repository = asked.repository()
    index = repository.index()
    levels = repository.levels(index, name)
    bundle, user = asked.found.get("D", "default"), asked.found.get("h", repository.user())
    if repository.committed(name) and _options(repository, name) == [bundle, user] and not asked.has("f"):
        return say.OK
    if bad := sets.conflicts(index, levels):
        tell(index, bad, levels)
        raise say.Fatal(say.NO, f"{name} does not fit together: set-fix mends it")
    definitions, _, code = gather(repository.stores(), user, asked.verbosity)
    if code:
        return say.NO
    chosen = select(definitions, repository.named(name), bundle)
    made, faults = resolve(chosen, user)
    if faults:
        return compiling.report(Sources(), faults)
    return _store(asked, repository, name, (made, chosen), f"{repository.stamp(name)}{bundle}\n{user}\n")


def _options(repository: Repository, name: str) -> list[str]:
    with open(
        f"{repository.path}/committed/{name}/made-from", encoding="utf-8", errors="surrogateescape"
    ) as file:
        return file.read().split("\n")[1:3]


def select(definitions: Sequence[Definition], levels: Mapping[str, int], bundle: str) -> list[Definition]:
    """What of these definitions is to be in the database of a set, with the BUNDLE of what is to be up."""
    masked = {name for name, level in levels.items() if level == sets.MASKED}
    masked |= {one.pipeline for one in definitions if one.name in masked and one.pipeline}
    chosen = [
        replace(one, flags=one.flags | ESSENTIAL) if levels.get(one.name) == sets.ALWAYS else one
        for one in definitions
        if one.name not in masked
    ]
    while True:  # a bundle is left out when something in it is, and then what contains that bundle
        kept = [one for one in chosen if not masked.intersection(one.contents)]
        if len(kept) == len(chosen):
            break
        masked |= {one.name for one in chosen} - {one.name for one in kept}
        chosen = kept
    wanted = tuple(name for name, level in levels.items() if level >= sets.ACTIVE)
    return [*chosen, Definition(bundle, BUNDLE, f"the set's bundle {bundle}", contents=wanted)]


def _store(
    asked: Asked,
    repository: Repository,
    name: str,
    made: tuple[Database, list[Definition]],
    stamp: str,
) -> int:
    place = f"{repository.path}/committed/{name}"
    old = f"{place}/old.{os.getpid()}"
    try:
        os.makedirs(place, 0o755, exist_ok=True)
        new = f"{place}/.new"
        disk.remove_tree(new)
        database.create(new, *made)
        had = os.path.isdir(f"{place}/db")
        if had:
            os.rename(f"{place}/db", old)
        os.rename(new, f"{place}/db")
        disk.write(f"{place}/.made-from", os.fsencode(stamp))
        os.rename(f"{place}/.made-from", f"{place}/made-from")
        if had and not asked.has("K"):
            disk.remove_tree(old)
    except OSError as error:
        raise say.unable(f"write {place}", error) from error
    if had and asked.has("K"):
        write(os.fsencode(f"{old}\n"))
    return say.OK
