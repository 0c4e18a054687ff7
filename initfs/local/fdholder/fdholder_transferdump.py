"""fdholder-transferdump: have all that one holder holds held by another too. Source: `spec/localservices.md` 5.6.

1: the source refuses; 2: the destination does.
"""

from __future__ import annotations

from initfs import say
from initfs.local.fdholder import commands
from initfs.options import parse

USAGE = "fdholder-transferdump [-t from:to in ms] from to"
DESTINATION_DENIED = 2


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "t:", USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    source, _, destination = dict(found).get("t", "0:0").partition(":")
    until = commands.deadline(source, USAGE)
    dump = commands.ask(rest[0], until, "get the dump", lambda holder: holder.get_dump())
    until = commands.deadline(destination or "0", USAGE)
    commands.ask(
        rest[1], until, "set the dump", lambda holder: holder.set_dump(dump), denied=DESTINATION_DENIED
    )
    return say.OK
