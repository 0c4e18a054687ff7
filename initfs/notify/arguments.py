"""Words of command lines that several notification programs share."""

from __future__ import annotations

from initfs import say
from initfs.loop import NEVER, now
from initfs.options import number


def until(text: str, usage_line: str) -> float:
    """The deadline that an option's milliseconds mean from now on; 0 is never."""
    milliseconds = number(text, usage_line)
    return now() + milliseconds / 1000 if milliseconds else NEVER


def block(arguments: list[str], usage_line: str) -> tuple[list[str], list[str]]:
    """Split ARGUMENTS into the words of a block and what follows it.

    A block ends with an empty word; each of its words has one space in front when a block-aware script wrote it.
    """
    if "" not in arguments:
        raise say.usage(usage_line)
    end = arguments.index("")
    return [word.removeprefix(" ") for word in arguments[:end]], arguments[end + 1 :]
