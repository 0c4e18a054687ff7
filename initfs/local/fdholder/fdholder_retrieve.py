"""fdholder-retrieve: run a program with a held descriptor as its standard input. Source: `spec/localservices.md` 5.6."""

from __future__ import annotations

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.local.fdholder import commands
from initfs.options import parse

USAGE = "fdholder-retrieve [-D] [-t ms] path identifier prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "Dt:", USAGE)
    given = dict(found)
    if len(rest) < 3:
        raise say.usage(USAGE)
    name = commands.identifier(rest[1], USAGE)
    until = commands.deadline(given.get("t", "0"), USAGE)
    fd = commands.ask(
        rest[0], until, f"retrieve {rest[1]}", lambda holder: holder.retrieve(name, delete="D" in given)
    )
    descriptors.move(0, fd)
    return chain.run(rest[2:], USAGE)
