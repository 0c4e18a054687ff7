"""fdswap: exchange two descriptors.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "fdswap fd1 fd2 prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 3:
        raise say.usage(USAGE)
    one, two = (descriptors.number(word, USAGE) for word in rest[:2])
    try:
        kept = os.dup(one)
    except OSError as error:
        raise say.unable(f"copy descriptor {one}", error) from None
    descriptors.copy(one, two)
    descriptors.move(two, kept)
    return chain.run(rest[2:], USAGE)
