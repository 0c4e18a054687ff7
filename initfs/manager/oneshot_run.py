"""rc-oneshot-run: become a oneshot's script. Source: `spec/service-manager.md` 6.4.

The runner does the same in one process for all; this is for those who put something else around it.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import next as chain
from initfs.manager import database, live, locks, script

USAGE = "rc-oneshot-run [-l live] [-b] up|down|reload number"
LONG = {"livedir": "l", "block": "b"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "l:b", USAGE, LONG)
    found = dict(given)
    if len(rest) != 2 or rest[0] not in script.WORDS:
        raise say.usage(USAGE)
    number, which = options.number(rest[1], USAGE), script.WORDS[rest[0]]
    compiled = f"{found.get('l', live.LIVE)}/compiled"
    locks.take(compiled, locks.SHARED, block="b" in found)
    made = database.load(compiled)
    try:
        line = script.command(made, os.path.realpath(compiled), number, which)
    except IndexError:
        raise say.Fatal(database.UNKNOWN, f"no oneshot has the number {number}") from None
    os.environ.update(script.variables(made, number, which))
    return chain.run(line, USAGE) if line else say.OK
