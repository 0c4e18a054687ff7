"""importas: put the value of an environment variable into the words that follow.

Source: execline's importas. -s splits the value into words, -C takes a row of delimiters for one, -d says which they are,
-u removes the variable from the environment, -S means that both have the same name.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.chain.substitute import BLANKS, in_words, split
from initfs.options import parse

USAGE = "importas [-i | -D default] [-u] [-n] [-s] [-C] [-d delimiters] name variable prog...  (or -S name prog...)"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "iD:unsCd:S", USAGE)
    given = dict(found)
    rest[:1] = rest[:1] * 2 if "S" in given else rest[:1]
    if len(rest) < 3:
        raise say.usage(USAGE)
    name, variable, rest = rest[0], rest[1], rest[2:]
    value = os.environ.get(variable, given.get("D"))
    if "u" in given:
        os.environ.pop(variable, None)
    if value is None:
        if "i" in given:
            raise say.Fatal(say.USAGE, f"{variable} is not set")
        return chain.run(in_words(rest, {name: []}), USAGE)
    value = value.removesuffix("\n") if "n" in given else value
    values = split(value, given.get("d", BLANKS), crunch="C" in given) if "s" in given else [value]
    return chain.run(in_words(rest, {name: values}), USAGE)
