"""export: set an environment variable.

Source: `spec/chainloading.md` 3.8.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "export variable value prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 3 or not rest[0] or "=" in rest[0]:
        raise say.usage(USAGE)
    os.environ[rest[0]] = rest[1]
    return chain.run(rest[2:], USAGE)
