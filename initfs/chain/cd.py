"""cd: change the working directory.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "cd directory prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    try:
        os.chdir(rest[0])
    except OSError as error:
        raise say.unable(f"change to {rest[0]}", error) from None
    return chain.run(rest[1:], USAGE)
