"""set-delete: sets, and what was committed of them, go."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager import disk
from initfs.manager.repo.commands import Asked

USAGE = "set-delete [-v n] [-r repo] name..."


def main(argv: list[str]) -> int:
    asked = Asked(argv, "", USAGE, {}, 1)
    repository = asked.repository()
    for name in asked.rest:
        repository.check(name)
    for name in asked.rest:
        try:
            os.unlink(f"{repository.path}/sets/{name}")
            disk.remove_tree(f"{repository.path}/committed/{name}")
        except OSError as error:
            raise say.unable(f"delete {name}", error) from error
    return say.OK
