"""fdholder-delete: have a held descriptor forgotten and closed. Source: `spec/localservices.md` 5.6."""

from __future__ import annotations

from initfs import say
from initfs.local.fdholder import commands
from initfs.options import parse

USAGE = "fdholder-delete [-t ms] path identifier"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "t:", USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    name = commands.identifier(rest[1], USAGE)
    until = commands.deadline(dict(found).get("t", "0"), USAGE)
    commands.ask(rest[0], until, f"delete {rest[1]}", lambda holder: holder.delete(name))
    return say.OK
