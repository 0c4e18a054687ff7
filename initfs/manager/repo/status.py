"""set-status: what a set prescribes."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.db import write
from initfs.manager.repo import sets
from initfs.manager.repo.commands import Asked, resolved

USAGE = "set-status [-v n] [-r repo] [-E|-e] [-L] set [service...]"
LONG = {"with-essentials": "E", "without-essentials": "e", "list": "L"}


def main(argv: list[str]) -> int:
    asked = Asked(argv, "EeL", USAGE, LONG, 1)
    repository = asked.repository(write=False)
    index = repository.index()
    levels = repository.levels(index, asked.rest[0])
    shown = resolved(index, asked.rest[1:]) if asked.rest[1:] else set(levels)
    lines = []
    for number in sorted(shown, key=lambda number: index.database.names[number]):
        if asked.last("Ee") == "e" and levels[number] == sets.ALWAYS:
            continue
        level = "" if asked.has("L") else f"/{sets.NAMES[levels[number]]}"
        lines.append(f"{index.database.names[number]}{level}\n")
    write(os.fsencode("".join(lines)))
    return say.OK
