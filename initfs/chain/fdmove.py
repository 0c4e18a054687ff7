"""fdmove: give a descriptor another number, or with -c a second one.

Source: `spec/chainloading.md` 3.8. `fdmove -c 2 1` is the shell's `2>&1`.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "fdmove [-c] to from prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "c", USAGE)
    if len(rest) < 3:
        raise say.usage(USAGE)
    to, source = (descriptors.number(word, USAGE) for word in rest[:2])
    (descriptors.copy if found else descriptors.move)(to, source)
    return chain.run(rest[2:], USAGE)
