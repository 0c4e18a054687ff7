"""emptyenv: remove all environment variables, or with -p all but PATH.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "emptyenv [-p] prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "p", USAGE)
    if not rest:
        raise say.usage(USAGE)
    kept = {"PATH": os.environ["PATH"]} if found and "PATH" in os.environ else {}
    os.environ.clear()
    os.environ.update(kept)
    return chain.run(rest, USAGE)
