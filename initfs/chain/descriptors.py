"""Descriptors for the next program: numbers from command lines, moves, and whether they block.

What Python opens is close-on-exec (PEP 446); what is meant for the next program is made inheritable here.
"""

from __future__ import annotations

import os

from initfs import options, say

LARGEST = 2**31 - 1


def number(text: str, usage_line: str) -> int:
    """The descriptor that TEXT is in decimal, or wrong usage. Whether it is open is for the kernel to say."""
    fd = options.number(text, usage_line) if len(text) <= 10 else LARGEST + 1
    if fd > LARGEST:
        raise say.usage(usage_line)
    return fd


def copy(to: int, source: int) -> None:
    """Make TO a copy of SOURCE that the next program inherits. Raises Fatal 111."""
    try:
        if to == source:
            os.set_inheritable(source, True)
        else:
            os.dup2(source, to, inheritable=True)
    except OSError as error:
        raise say.unable(f"copy descriptor {source} to {to}", error) from None


def move(to: int, source: int) -> None:
    """The same, and close SOURCE, unless it is TO."""
    copy(to, source)
    if to != source:
        os.close(source)


def close(fd: int) -> None:
    """Close FD, which may be closed already."""
    try:
        os.close(fd)
    except OSError:
        return


def block(fd: int, *, blocking: bool) -> None:
    """Make FD, for all who share it, blocking or not. Raises Fatal 111."""
    try:
        os.set_blocking(fd, blocking)
    except OSError as error:
        raise say.unable(f"make descriptor {fd} {'' if blocking else 'non-'}blocking", error) from None
