"""umask: set the file mode creation mask.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "umask octal prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    os.umask(mode(rest[0]))
    return chain.run(rest[1:], USAGE)


def mode(text: str) -> int:
    """The mask that TEXT is in octal, or wrong usage."""
    if not text or len(text) > 5 or not set(text) <= set("01234567") or int(text, 8) > 0o7777:
        raise say.usage(USAGE)
    return int(text, 8)
