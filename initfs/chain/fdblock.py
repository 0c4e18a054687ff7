"""fdblock: make a descriptor blocking, or with -n non-blocking, for all who share it.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "fdblock [-n] fd prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "n", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    descriptors.block(descriptors.number(rest[0], USAGE), blocking=not found)
    return chain.run(rest[1:], USAGE)
