"""pipeline: start a block with a pipe to what follows: the block writes, the next program reads.

Source: execline's pipeline. -w turns it round (so does the older -r); `!` has the block's pid, unless -d makes it nobody's child.
"""

from __future__ import annotations

import os

from initfs.chain import blocks, child, descriptors
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "pipeline [-d] [-r | -w] { block } prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "drw", USAGE)
    (block,), rest = blocks.take(rest, 1, USAGE)
    reader, writer = os.pipe()
    ours, theirs = ((0, reader), (1, writer))
    if any(letter in "rw" for letter, _ in found):
        ours, theirs = theirs, ours

    def join() -> None:
        os.close(ours[1])
        descriptors.move(*theirs)

    if ("d", "") in found:
        child.wait(child.fork(lambda: child.start(block, USAGE, join) and 0))
    else:
        os.environ["!"] = str(child.start(block, USAGE, join))
    os.close(theirs[1])
    descriptors.move(*ours)
    return chain.run(rest, USAGE)
