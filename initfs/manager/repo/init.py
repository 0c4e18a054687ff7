"""repo-init: make a repository, or give one other stores. Source: `spec/service-manager.md` 6.10."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager import disk
from initfs.manager.repo.commands import Asked
from initfs.manager.repo.repository import Repository

USAGE = "repo-init [-v n] [-r repo] [-h fdholder_user] [-f] [-U] [-B] store..."
LONG = {"fdholder-user": "h", "force": "f", "update-stores": "U", "bare": "B"}


def main(argv: list[str]) -> int:
    asked = Asked(argv, "h:fUB", USAGE, LONG, 1)
    stores = [os.path.abspath(store) for store in asked.rest]
    for store in stores:
        if not os.path.isdir(store):
            raise say.Fatal(say.USAGE, f"{store} is not a directory")
    if asked.has("U"):
        return _update(asked, stores)
    if os.path.lexists(asked.path) and not asked.has("f"):
        raise say.Fatal(
            say.TEMPORARY, f"{asked.path} exists already; -U changes its stores, -f makes it anew"
        )
    return _make(asked, stores)


def _update(asked: Asked, stores: list[str]) -> int:
    repository = asked.repository()
    before = "".join(f"{store}\n" for store in repository.stores())
    repository.write("stores", "".join(f"{store}\n" for store in stores))
    if asked.has("B"):
        return say.OK
    code = repository.sync(asked.verbosity, asked.found.get("h"))
    if code:
        repository.write("stores", before)
    return code


def _make(asked: Asked, stores: list[str]) -> int:
    """Under another name first: what could not be made whole is not there."""
    new = disk.temporary(asked.path)
    disk.remove_tree(new)
    try:
        for directory in ("sets", "committed"):
            os.makedirs(f"{new}/{directory}", 0o755)
        disk.write(f"{new}/stores", os.fsencode("".join(f"{store}\n" for store in stores)))
        disk.write(f"{new}/user", os.fsencode(f"{asked.found.get('h', '')}\n"))
        disk.write(f"{new}/lock", b"")
        code = say.OK if asked.has("B") else Repository(new).sync(asked.verbosity)
        if code:
            disk.remove_tree(new)
            return code
        disk.remove_tree(asked.path)
        os.rename(new, asked.path)
    except OSError as error:
        disk.remove_tree(new)
        raise say.unable(f"make {asked.path}", error) from error
    return say.OK
