"""ifelse: run a block; become the second block if its exit code was 0, what follows otherwise.

Source: execline's ifelse. Several in a row are a switch.
"""

from __future__ import annotations

from initfs.chain import blocks, child
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "ifelse [-n] { condition } { then } otherwise..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "n", USAGE)
    (condition, then), rest = blocks.take(rest, 2, USAGE)
    true = not condition or child.wait(child.start(condition, USAGE)) == 0
    chosen = then if true != bool(found) else rest
    return chain.run(chosen, USAGE) if chosen else 0
