"""set-install: have the machine use the committed database of a set, now and at the next boot. Source: `spec/service-manager.md` 6.10."""

from __future__ import annotations

import os

from initfs import files, loop, options, say
from initfs.manager import disk, live
from initfs.manager.db import write
from initfs.manager.repo.commands import Asked
from initfs.manager.update import Update, instructions

USAGE = "set-install [-v n] [-r repo] [-c bootdb] [-l live] [-t ms] [-f conversion] [-b] [-K] [-E|-e] [--no-update] set"
LONG = {
    "bootdb": "c",
    "livedir": "l",
    "timeout": "t",
    "conversion-file": "f",
    "block": "b",
    "keep-old": "K",
    "no-force-essentials": "E",
    "force-essentials": "e",
    "no-update": "N",
}
NOT_UP_TO_DATE = 7


def main(argv: list[str]) -> int:
    asked = Asked(argv, "c:l:t:f:bKEeN", USAGE, LONG, 1)
    name, *more = asked.rest
    if more:
        raise say.usage(USAGE)
    boot = asked.found.get("c", live.BOOT)
    if not boot.startswith("/"):
        raise say.Fatal(say.USAGE, f"bootdb must be an absolute path: {boot}")
    repository = asked.repository()
    repository.levels(repository.index(), name)
    committed = repository.committed(name)
    if not committed:
        raise say.Fatal(NOT_UP_TO_DATE, f"the set {name} is not committed as it is now; set-commit does it")
    compiled = _copy(committed, boot, name)
    code = say.OK if asked.has("N") else _update(asked, compiled)
    if code in (say.OK, 1, 2):  # it is the live one
        _repoint(asked, boot, compiled)
    else:
        disk.remove_tree(compiled)
    return code


def _copy(committed: str, boot: str, name: str) -> str:
    """A copy of the database beside the boot link, under a name that is not in use; its path."""
    parent = os.path.dirname(boot)
    count = 0
    while os.path.lexists(made := f"{parent}/{name}.{count}"):
        count += 1
    try:
        os.makedirs(parent, 0o755, exist_ok=True)
        disk.copy_tree(committed, f"{parent}/.{name}.new")
        os.rename(f"{parent}/.{name}.new", made)
    except OSError as error:
        disk.remove_tree(f"{parent}/.{name}.new")
        raise say.unable(f"copy the database to {made}", error) from error
    return made


def _update(asked: Asked, compiled: str) -> int:
    milliseconds = options.number(asked.found.get("t", "0"), USAGE)
    try:
        update = Update(
            asked.found.get("l", live.LIVE),
            compiled,
            instructions(asked.found.get("f", "")),
            force=asked.last("Ee") != "E",
            block=asked.has("b"),
            verbosity=asked.verbosity,
            deadline=loop.now() + milliseconds / 1000 if milliseconds else loop.NEVER,
        )
        return update.run()
    except say.Fatal:
        disk.remove_tree(compiled)
        raise


def _repoint(asked: Asked, boot: str, compiled: str) -> None:
    """The next boot uses the new database; the old one goes, unless it is to be kept: then its path is printed."""
    old = os.path.realpath(boot) if os.path.islink(boot) else ""
    try:
        os.sync()  # the link must not survive a power cut that the database does not
        new = disk.temporary(boot)
        files.remove(new)
        os.symlink(os.path.basename(compiled), new)
        os.rename(new, boot)
    except OSError as error:
        raise say.unable(f"have {boot} lead to {compiled}", error) from error
    if not old or old == compiled or not os.path.isdir(old):
        return
    if asked.has("K"):
        write(os.fsencode(f"{old}\n"))
    else:
        files.tried(f"remove {old}", lambda: disk.remove_tree(old))
