"""foreground: run a block, wait for it, leave its exit code in the variable `?`, and go on whatever it was.

Source: execline's foreground.
"""

from __future__ import annotations

import os

from initfs.chain import blocks, child
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "foreground { block } prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    (block,), rest = blocks.take(rest, 1, USAGE)
    if block:
        os.environ["?"] = str(child.wait(child.start(block, USAGE)))
    return chain.run(rest, USAGE) if rest else int(os.environ.get("?", "0"))
