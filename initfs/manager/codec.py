"""A database as bytes, and back: a line that says what it is, its check sum and its length, then the tables. Pure.

    initfs-rc 1 4a17b156 123456

The tables are `marshal`'s, in its version 2: every Python reads them, on every machine alike, thousands of services in milliseconds,
and equal databases are equal bytes (later versions write references, which depend on what else the interpreter has in memory).
marshal itself trusts its input: nothing reaches it whose sum is not right.
"""

from __future__ import annotations

import marshal
from binascii import crc32

from initfs.manager.model import Database

MAGIC = b"initfs-rc"
VERSION = 1
_MARSHAL = 2
FIELDS: tuple[str, ...] = Database.__match_args__
HEAD = 64  # bytes in which the first line ends


class Invalid(ValueError):
    """Not a database that can be used; its text says why."""


def encode(database: Database) -> bytes:
    """The bytes of a database; the same for the same database."""
    body = marshal.dumps(tuple(getattr(database, field) for field in FIELDS), _MARSHAL)
    return b"%s %d %08x %d\n" % (MAGIC, VERSION, crc32(body), len(body)) + body


def decode(data: bytes) -> Database:
    """The Database in DATA. Invalid for anything else than what `encode` made."""
    head, newline, _ = data[:HEAD].partition(b"\n")
    words = head.split()
    if len(words) != 4 or words[0] != MAGIC or not newline:
        raise Invalid("it is no database")
    if words[1] != b"%d" % VERSION:
        raise Invalid(
            f"it has the format {words[1].decode(errors='replace')}, not {VERSION}; rc-compile makes a new one"
        )
    body = memoryview(data)[len(head) + 1 :]
    if words[3] != b"%d" % len(body):
        raise Invalid(f"it has {len(body)} bytes instead of {words[3].decode(errors='replace')}")
    if words[2] != b"%08x" % crc32(body):
        raise Invalid("its check sum is wrong: it is damaged")
    return _made(marshal.loads(body))


def _made(fields: object) -> Database:
    if not isinstance(fields, tuple) or len(fields) != len(FIELDS):
        raise Invalid("its tables are not those of this format")
    return Database(*fields)


def problems(database: Database) -> list[str]:
    """What is inconsistent in a database: tables of other lengths, numbers of no service, cycles. `rc-db check` says it."""
    from initfs.manager import graph

    total = len(database.names)
    tables = (database.flags, database.timeouts, database.depends)
    oneshots = total - database.longruns
    if any(len(table) != total for table in tables) or {len(database.scripts), len(database.interpreted)} != {
        oneshots
    }:
        return ["tables of different lengths"]
    used = [number for row in database.depends for number in row]
    used += [number for _, row in database.bundles for number in row]
    used += [number for consumer, row in database.pipes for number in (consumer, *row)]
    if any(not 0 <= number < total for number in used):
        return ["a number without a service"]
    found = []
    named = [*database.names, *(name for name, _ in database.bundles)]
    if len(set(named)) != len(named):
        found.append("a name that is used twice")
    found += [
        f"a dependency cycle: {' -> '.join(database.names[number] for number in cycle)}"
        for cycle in graph.order(database.depends)[1]
    ]
    for consumer, producers in database.pipes:
        if max(consumer, *producers) >= database.longruns:
            found.append(f"a pipeline of what is no longrun, at {database.names[consumer]}")
        missing = [number for number in producers if consumer not in database.depends[number]]
        found += [f"{database.names[number]} does not depend on its consumer" for number in missing]
    return found
