"""repo-sync: bring a repository in step with its stores."""

from __future__ import annotations

from initfs import say
from initfs.manager.repo.commands import Asked

USAGE = "repo-sync [-v n] [-r repo] [-h fdholder_user]"


def main(argv: list[str]) -> int:
    asked = Asked(argv, "h:", USAGE, {"fdholder-user": "h"})
    if asked.rest:
        raise say.usage(USAGE)
    return asked.repository().sync(asked.verbosity, asked.found.get("h"))
