"""define: put a value into the words that follow, under a name that exists nowhere else.

Source: execline's define. The options for splitting are those of importas.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import next as chain
from initfs.chain.substitute import BLANKS, in_words, split
from initfs.options import parse

USAGE = "define [-n] [-s] [-C] [-d delimiters] name value prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "nsCd:", USAGE)
    given = dict(found)
    if len(rest) < 3:
        raise say.usage(USAGE)
    value = rest[1].removesuffix("\n") if "n" in given else rest[1]
    values = split(value, given.get("d", BLANKS), crunch="C" in given) if "s" in given else [value]
    return chain.run(in_words(rest[2:], {rest[0]: values}), USAGE)
