"""backtick: run a block and keep what it writes in a variable.

Source: execline's backtick. The last newline goes, unless -N keeps it (-n says it goes); -E puts the value into the words that follow instead.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import blocks, child, descriptors
from initfs.chain import next as chain
from initfs.chain.substitute import in_words
from initfs.options import parse

USAGE = "backtick [-i | -I | -D default] [-n | -N] [-E] variable { block } prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "iID:nNE", USAGE)
    given = dict(found)
    if not rest or "=" in rest[0]:
        raise say.usage(USAGE)
    name = rest[0]
    (block,), rest = blocks.take(rest[1:], 1, USAGE)
    output, code = run(block)
    if code or b"\0" in output:
        if not given.keys() & {"I", "D"}:
            raise say.Fatal(code or say.NO, f"unable to fill {name}: the block ended with {code}")
        output = os.fsencode(given.get("D", ""))
    value = os.fsdecode(output if "N" in given else output.removesuffix(b"\n"))
    if "E" in given:
        return chain.run(in_words(rest, {name: [value]}), USAGE)
    os.environ[name] = value
    return chain.run(rest, USAGE)


def run(block: list[str]) -> tuple[bytes, int]:
    """What a block writes to its standard output, and its exit code."""
    if not block:
        return b"", 0
    reader, writer = os.pipe()
    pid = child.start(block, USAGE, lambda: descriptors.move(1, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        output = file.read()
    return output, child.wait(pid)
