"""unexport: remove an environment variable; one that is not there is no error.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "unexport variable prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 2 or "=" in rest[0]:
        raise say.usage(USAGE)
    os.environ.pop(rest[0], None)
    return chain.run(rest[1:], USAGE)
