"""What the client programs of a descriptor holder share: options, one conversation, and exit codes.

0; 1 the server refused; 100 wrong usage; 111 no server, no time, or the system. Source: `spec/localservices.md` 5.6.
"""

from __future__ import annotations

import os

from initfs import loop, say
from initfs.local.fdholder import client, protocol
from initfs.options import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def identifier(text: str, usage_line: str) -> bytes:
    """The identifier that a word of the command line is, or wrong usage."""
    name = os.fsencode(text)
    try:
        protocol.check_name(name)
    except ValueError:
        raise say.usage(usage_line) from None
    return name


def deadline(milliseconds: str, usage_line: str) -> float:
    """The moment so many milliseconds from now; 0 is never."""
    return loop.now() + (number(milliseconds, usage_line) / 1000 or loop.NEVER)


def ask(
    path: str, until: float, what: str, question: Callable[[client.Holder], T], denied: int = say.NO
) -> T:
    """The answer to QUESTION of the holder at PATH. Fatal with DENIED when it refuses to WHAT, 111 otherwise."""
    try:
        holder = client.connect(path, until)
    except OSError as error:
        raise say.unable(f"connect to {path}", error) from error
    try:
        with holder:
            return question(holder)
    except OSError as error:
        raise say.unable(what, error, denied if error.errno in client.DENIED else say.TEMPORARY) from error
