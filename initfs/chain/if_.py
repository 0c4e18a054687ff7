"""if: run a block and go on if its exit code is 0; otherwise end with code 1, or the one that -x gives.

Source: execline's if. -n turns the condition round, -t ends with 0 where the condition was false.
"""

from __future__ import annotations

from initfs import options, say
from initfs.chain import blocks, child
from initfs.chain import next as chain

USAGE = "if [-n] [-t] [-x code] { block } prog..."


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "ntx:", USAGE)
    given = dict(found)
    code = options.number(given["x"], USAGE) & 255 if "x" in given else say.NO
    (block,), rest = blocks.take(rest, 1, USAGE)
    true = not block or child.wait(child.start(block, USAGE)) == 0
    if true == ("n" in given):
        return say.OK if "t" in given else code
    return chain.run(rest, USAGE) if rest else say.OK
