"""softlimit: change resource limits.

Source: `spec/chainloading.md` 3.3. The soft limit, until -H (both) or -h (the hard one) says otherwise for what follows.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import limits
from initfs.chain import next as chain
from initfs.options import parse

USAGE = (
    "softlimit [-H | -h] [-a bytes] [-c bytes] [-d bytes] [-f bytes] [-l bytes] [-m bytes] [-o files] [-P priority] "
    "[-p processes] [-r bytes] [-s bytes] [-t seconds] prog..."
)


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "Hh" + "".join(f"{letter}:" for letter in limits.NAMES), USAGE)
    if not rest:
        raise say.usage(USAGE)
    which = limits.SOFT
    wanted = []
    for letter, text in found:  # all is read before anything is changed
        if letter in "Hh":
            which = limits.BOTH if letter == "H" else limits.HARD
        else:
            wanted.append((letter, limits.amount(text, USAGE), which))
    for letter, number, scope in wanted:
        limits.limit(letter, number, scope)
    return chain.run(rest, USAGE)
