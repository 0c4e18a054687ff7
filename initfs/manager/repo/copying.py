"""set-copy: a set under another name."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.repo.commands import Asked, check_name

USAGE = "set-copy [-v n] [-r repo] [-f] source target"


def main(argv: list[str]) -> int:
    asked = Asked(argv, "f", USAGE, {"force": "f"}, 2)
    if len(asked.rest) != 2:
        raise say.usage(USAGE)
    source, target = asked.rest
    check_name(target)
    repository = asked.repository()
    index = repository.index()
    levels = repository.levels(index, source)
    if os.path.lexists(f"{repository.path}/sets/{target}") and not asked.has("f"):
        raise say.Fatal(say.NO, f"there is a set {target} already; -f overwrites it")
    repository.write_set(index, target, levels)
    return say.OK
