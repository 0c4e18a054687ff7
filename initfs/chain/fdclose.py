"""fdclose: close a descriptor; one that is closed already is no error.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "fdclose fd prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    descriptors.close(descriptors.number(rest[0], USAGE))
    return chain.run(rest[1:], USAGE)
