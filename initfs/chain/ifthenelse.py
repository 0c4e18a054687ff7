"""ifthenelse: run a block, then one of two others, then go on with what follows; `?` has the chosen block's exit code.

Source: execline's ifthenelse.
"""

from __future__ import annotations

import os

from initfs.chain import blocks, child
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "ifthenelse { condition } { then } { else } prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    (condition, then, otherwise), rest = blocks.take(rest, 3, USAGE)
    true = not condition or child.wait(child.start(condition, USAGE)) == 0
    chosen = then if true else otherwise
    if chosen:
        os.environ["?"] = str(child.wait(child.start(chosen, USAGE)))
    return chain.run(rest, USAGE) if rest else 0
