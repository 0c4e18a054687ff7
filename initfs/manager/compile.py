"""rc-compile: make a database of source directories. Source: `spec/service-manager.md` 6.3."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.manager import database
from initfs.manager.resolve import resolve
from initfs.manager.source import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.model import Database, Definition, Fault

USAGE = "rc-compile [-v verbosity] [-h fdholder_user] [-b] compiled source..."
LONG = {"verbosity": "v", "fdholder-user": "h", "block": "b"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "v:h:b", USAGE, LONG)
    found = dict(given)
    verbosity = options.number(found.get("v", "1"), USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    compiled, *directories = rest
    compiled = compiled.rstrip("/") or "/"
    if os.path.lexists(compiled):
        raise say.Fatal(say.TEMPORARY, f"unable to make {compiled}: it exists already")
    return compile_(
        compiled, directories, user=found.get("h", ""), blocking="b" in found, verbosity=verbosity
    )


def compile_(
    compiled: str, directories: list[str], *, user: str = "", blocking: bool = False, verbosity: int = 1
) -> int:
    """Compile DIRECTORIES into the new directory COMPILED; 0, or 1 when a source is wrong, which is said. say.Fatal 111."""
    sources = Sources(say.warning if verbosity else lambda _text: None)
    for directory in directories:
        if verbosity >= 2:
            say.info(f"reading {directory}")
        sources.add(directory.rstrip("/") or "/")
    made, faults = resolve(sources.definitions, user, sources.broken)
    code = report(sources, [*sources.faults, *faults])
    if code:
        return code
    if verbosity >= 2:
        say.info(f"{len(made)} services and {len(made.bundles)} bundles: writing {compiled}")
    write(compiled, made, sources.definitions, blocking=blocking)
    return say.OK


def write(compiled: str, made: Database, definitions: list[Definition], *, blocking: bool) -> None:
    try:
        database.create(compiled, made, definitions, blocking=blocking)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise say.Fatal(say.TEMPORARY, f"unable to write {compiled}: {where}{say.reason(error)}") from error


def report(sources: Sources, faults: list[Fault]) -> int:
    """Say all that is wrong. The exit code: 111 when it is nothing but the system's doing."""
    if not faults:
        return say.OK
    seen = dict.fromkeys(str(fault) for fault in faults)
    for text in seen:
        say.line("error", text)
    say.fatal(f"{len(seen)} error{'s' if len(seen) > 1 else ''} in the sources: nothing is written")
    return say.TEMPORARY if len(faults) == sources.failed else say.NO
