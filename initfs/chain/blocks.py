"""What the loaders with blocks have in common: finding their blocks.

A block may also be given by hand, outside a script: words with a space before each, ended by an empty word.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import words

Block = list[str]


def take(line: list[str], count: int, usage_line: str) -> tuple[list[Block], list[str]]:
    """The first COUNT blocks of a command line, and what follows. Raises Fatal 100 when there are fewer."""
    found: list[Block] = []
    for _ in range(count):
        taken = words.block(line)
        if taken is None:
            raise say.usage(usage_line)
        one, line = taken
        found.append(one)
    return found, line
