"""background: start a block, leave its pid in the variable `!`, and go on at once.

Source: execline's background. With -d the block is nobody's child: who comes next will not be surprised by its end.
"""

from __future__ import annotations

import os

from initfs.chain import blocks, child
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "background [-d] { block } prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "d", USAGE)
    (block,), rest = blocks.take(rest, 1, USAGE)
    if block and found:
        child.wait(child.fork(lambda: child.start(block, USAGE) and 0))
    elif block:
        os.environ["!"] = str(child.start(block, USAGE))
    return chain.run(rest, USAGE) if rest else 0
