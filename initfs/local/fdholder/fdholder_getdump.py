"""fdholder-getdump: run a program with all held descriptors open, and variables that say which is which.

    FD#=2  FD_0=5  FDID_0=unix:/run/web  FDLIMIT_0=@4000...  FD_1=6  FDID_1=pipe:x

Source: `spec/localservices.md` 5.6.
"""

from __future__ import annotations

import os

from initfs import say, tai
from initfs.chain import next as chain
from initfs.local.fdholder import commands
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.local.fdholder.client import Dumped

USAGE = "fdholder-getdump [-t ms] path prog..."
COUNT, NUMBER, NAME, LIMIT = b"FD#", b"FD_", b"FDID_", b"FDLIMIT_"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "t:", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    until = commands.deadline(dict(found).get("t", "0"), USAGE)
    dump = commands.ask(rest[0], until, "get the dump", lambda holder: holder.get_dump())
    for one in dump:
        os.set_inheritable(one.descriptor, True)
    os.environb.update(variables(dump))
    return chain.run(rest[1:], USAGE)


def variables(dump: list[Dumped]) -> dict[bytes, bytes]:
    """What says which descriptor is which."""
    found = {COUNT: b"%d" % len(dump)}
    for index, one in enumerate(dump):
        number = b"%d" % index
        found[NUMBER + number] = b"%d" % one.descriptor
        found[NAME + number] = one.name
        if one.limit is not None:
            found[LIMIT + number] = tai.label(one.limit).encode()
    return found
