"""permafailon: in a finish script, give a service up that died in certain ways too often, else go on with the script.

Source: `spec/supervision.md` 1.6. Exit code 125 is what the supervisor takes as "do not start it again". A tally that can't be
read is a warning: a service is not given up because of that.
"""

from __future__ import annotations

import time

from initfs import options, say
from initfs.chain import next as chain
from initfs.supervise import deaths, svdt

USAGE = "permafailon seconds count events prog..."
GIVE_UP = 125
SECOND = 1_000_000_000


def main(argv: list[str]) -> int:
    _, rest = options.parse(argv[1:], "", USAGE)
    if len(rest) < 4:
        raise say.usage(USAGE)
    seconds, count = options.number(rest[0], USAGE), options.number(rest[1], USAGE, least=1)
    if count > deaths.MOST:
        raise say.Fatal(say.USAGE, f"count {count} is more than the {deaths.MOST} deaths that are remembered")
    wanted = deaths.events(rest[2])
    if wanted is None:
        raise say.Fatal(say.USAGE, f"invalid list of events: {rest[2]}")
    since = time.time_ns() - seconds * SECOND
    if deaths.matching(_deaths(), wanted, since) >= count:
        say.info(f"{count} of {rest[2]} in {seconds} seconds: giving up")
        return GIVE_UP
    return chain.run(rest[3:], USAGE)


def _deaths() -> list[deaths.Death]:
    try:
        return svdt.read(".")
    except say.Fatal as fatal:
        say.warning(str(fatal))
        return []
