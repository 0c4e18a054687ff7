"""set-new: sets in which each service is at the level that its flags ask for."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.repo import sets
from initfs.manager.repo.commands import Asked, check_name

USAGE = "set-new [-v n] [-r repo] name..."


def main(argv: list[str]) -> int:
    asked = Asked(argv, "", USAGE, {}, 1)
    repository = asked.repository()
    for name in asked.rest:
        check_name(name)
        if os.path.lexists(f"{repository.path}/sets/{name}"):
            raise say.Fatal(say.NO, f"there is a set {name} already")
    index = repository.index()
    for name in asked.rest:
        repository.write_set(index, name, sets.fresh(index))
    return say.OK
