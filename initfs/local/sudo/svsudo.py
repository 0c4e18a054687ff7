"""svsudo: ask a local service for the one thing that it does: ipcclient and sudoc in one command line.

Source: `spec/localservices.md` 5.5.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import next as chain
from initfs.local.rewriting import options
from initfs.options import parse

USAGE = "svsudo [-q | -Q | -v] [-p bindpath] [-l localname] [-e] [-t ms] [-T ms] socket [argument...]"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "qQvp:l:et:T:", USAGE)
    if not rest:
        raise say.usage(USAGE)
    connect = ["ipcclient", *options(found, "qQvpl"), "--", rest[0]]
    return chain.run([*connect, "sudoc", *options(found, "etT"), "--", *rest[1:]], USAGE)
