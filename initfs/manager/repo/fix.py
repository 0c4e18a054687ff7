"""set-fix: make sets fit together. Source: `spec/service-manager.md` 6.10."""

from __future__ import annotations

from initfs import say
from initfs.manager.repo import sets
from initfs.manager.repo.change import check_essential, tell
from initfs.manager.repo.commands import Asked

USAGE = "set-fix [-v n] [-r repo] [-u|-d] [-E|-e] [-n] [set...]"
LONG = {"fix-up": "u", "fix-down": "d", "no-force-essential": "E", "force-essential": "e", "dry-run": "n"}


def main(argv: list[str]) -> int:
    asked = Asked(argv, "udEen", USAGE, LONG)
    repository = asked.repository(write=not asked.has("n"))
    index = repository.index()
    up, force = asked.last("ud") == "u", asked.last("Ee") == "e"
    for name in asked.rest or repository.names():
        before = repository.levels(index, name)
        after = sets.fixed(index, before, up=up)
        if asked.verbosity:
            tell(index, sets.conflicts(index, before), before)
        check_essential(index, before, after, force=force)
        for number in sorted(after):
            if before[number] != after[number] and asked.verbosity:
                names = f"{sets.NAMES[before[number]]} -> {sets.NAMES[after[number]]}"
                say.info(f"{name}: {index.database.names[number]}: {names}")
        if after != before and not asked.has("n"):
            repository.write_set(index, name, after)
    return say.OK
