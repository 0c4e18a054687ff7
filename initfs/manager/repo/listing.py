"""repo-list: the names of a repository's sets."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.db import write
from initfs.manager.repo.commands import Asked

USAGE = "repo-list [-v n] [-r repo] [-x name]"


def main(argv: list[str]) -> int:
    asked = Asked(argv, "x:", USAGE, {"exclude": "x"})
    if asked.rest:
        raise say.usage(USAGE)
    names = asked.repository(write=False).names()
    write(os.fsencode("".join(f"{name}\n" for name in names if name != asked.found.get("x"))))
    return say.OK
