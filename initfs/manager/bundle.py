"""rc-bundle: add bundles to a compiled database, and delete them. Source: `spec/service-manager.md` 6.9.

All is checked first; then the database is replaced by one rename, deletions first.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import words
from initfs.manager import database, live, locks, query
from initfs.manager.definition import reserved
from initfs.manager.model import BUNDLE
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.model import Database

USAGE = "rc-bundle [-f] [-l live] [-c compiled] [-b] command... (rc-bundle help tells more)"
LONG = {"force": "f", "livedir": "l", "compiled": "c", "block": "b"}
HELP = """rc-bundle help
rc-bundle [-f] add name content...
rc-bundle [-f] delete name...
rc-bundle [-f] multiple { deleted... } name { content... } ...
"""


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "fl:c:b", USAGE, LONG)
    found = dict(given)
    if not rest:
        raise say.usage(USAGE)
    if rest[0] == "help":
        os.write(1, HELP.encode())
        return say.OK
    deleted, added = understood(rest)
    path, block = found.get("l", live.LIVE), "b" in found
    if "c" not in found:
        locks.take(path, locks.EXCLUSIVE, block=block)
    compiled = found.get("c") or f"{path}/compiled"
    locks.take(compiled, locks.EXCLUSIVE, block=block)
    changed = edit(database.load(compiled), deleted, added, force="f" in found)
    try:
        database.save(compiled, changed)
    except OSError as error:
        raise say.unable(f"write {compiled}/db", error) from error
    return say.OK


def understood(line: list[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """(names to delete, (name, contents) to add) of a command. say.Fatal 100."""
    command, rest = line[0], line[1:]
    if command == "add" and len(rest) >= 2:
        return [], [(rest[0], rest[1:])]
    if command == "delete" and rest:
        return rest, []
    if command == "multiple" and rest:
        return _multiple(_blocks(rest))
    raise say.usage(USAGE)


def _blocks(line: list[str]) -> list[str]:
    """Braces typed in a shell, as the block launcher would hand them over."""
    if "{" not in line:
        return line
    try:
        return words.lex(
            b" ".join(
                word.encode(errors="surrogateescape") if word in "{}" else words.quote([word])
                for word in line
            )
        )
    except words.BadScript:
        raise say.usage(USAGE) from None


def _multiple(line: list[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    taken = words.block(line)
    if taken is None:
        raise say.usage(USAGE)
    deleted, rest = taken
    added = []
    while rest:
        taken = words.block(rest[1:])
        if taken is None:
            raise say.usage(USAGE)
        added.append((rest[0], taken[0]))
        rest = taken[1]
    return deleted, added


def edit(made: Database, deleted: list[str], added: list[tuple[str, list[str]]], *, force: bool) -> Database:
    """The database with other bundles. say.Fatal: 1 a name exists, 3 unknown, 5 not a bundle, 100 a name that can't be."""
    index = query.Index(made)
    resolved = [(name, _members(index, contents)) for name, contents in added]
    bundles = dict(made.bundles)
    for name in deleted:
        _check_deletion(index, name, force=force)
        bundles.pop(name, None)
    for name, members in resolved:
        if reserved(name) or not name or "\n" in name or "/" in name:
            raise say.Fatal(say.USAGE, f"a bundle can't be called {name!r}")
        if name in index.number:
            raise say.Fatal(say.NO, f"{name} is a {index.kind(name)}")
        if name in bundles and not force:
            raise say.Fatal(say.NO, f"{name} exists already; -f replaces it")
        bundles[name] = members
    return replace(made, bundles=tuple(bundles.items()))


def _members(index: query.Index, contents: list[str]) -> tuple[int, ...]:
    try:
        return tuple(sorted(index.union(contents)))
    except query.Unknown as error:
        raise say.Fatal(database.UNKNOWN, f"{error} is not a name in the database") from None


def _check_deletion(index: query.Index, name: str, *, force: bool) -> None:
    try:
        if index.kind(name) != BUNDLE:
            raise say.Fatal(
                database.WRONG_TYPE, f"{name} is a {index.kind(name)}: only bundles can be deleted"
            )
    except query.Unknown:
        if not force:
            raise say.Fatal(database.UNKNOWN, f"{name} is not a name in the database") from None
