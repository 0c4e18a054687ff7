"""fdholder-store: have a descriptor held under a name. Source: `spec/localservices.md` 5.6."""

from __future__ import annotations

import os
import time

from initfs import say
from initfs.chain import descriptors
from initfs.local.fdholder import commands
from initfs.options import number, parse

USAGE = "fdholder-store [-d fd] [-T expiry in ms] [-t ms] path identifier"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "d:T:t:", USAGE)
    given = dict(found)
    if len(rest) != 2:
        raise say.usage(USAGE)
    name, fd = commands.identifier(rest[1], USAGE), descriptors.number(given.get("d", "0"), USAGE)
    life = number(given.get("T", "0"), USAGE)
    limit = time.time_ns() + life * 1_000_000 if life else None
    try:
        os.fstat(fd)  # before a connection can take its number
    except OSError as error:
        raise say.unable(f"store descriptor {fd}", error) from error
    until = commands.deadline(given.get("t", "0"), USAGE)
    commands.ask(rest[0], until, f"store descriptor {fd}", lambda holder: holder.store(fd, name, limit))
    return say.OK
