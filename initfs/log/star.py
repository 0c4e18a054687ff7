"""The star patterns of svlogd and multilog, as expressions over lines. Pure.

Source: `spec/logging.md` 2.3. A star stands for the run of characters before the next one of its successor, a star at the end for all; a
plus (svlogd only) repeats its successor. Nothing is ever tried again further on, so each pattern has one reading.
"""

from __future__ import annotations

import os
import re


class Star:
    """One pattern, and the lines that match it as a whole."""

    def __init__(self, text: str, length: int = 0, *, plus: bool = True) -> None:
        """LENGTH: only so many bytes of each line are seen, 0: all. PLUS: that sign is special."""
        self._pattern = re.compile(translate(os.fsencode(text), plus=plus), re.DOTALL)
        self._length = length

    def one(self, line: bytes) -> bool:
        """Whether a line, with or without its newline, matches."""
        seen = line.removesuffix(b"\n")
        return self._pattern.fullmatch(seen[: self._length] if self._length else seen) is not None

    def keep(self, text: bytes) -> bytes:
        """The lines of TEXT that match."""
        return b"".join([line for line in _lines(text) if self.one(line)])

    def drop(self, text: bytes) -> bytes:
        """The lines of TEXT that do not match."""
        return b"".join([line for line in _lines(text) if not self.one(line)])


def translate(pattern: bytes, *, plus: bool = True) -> bytes:
    """Python's spelling of a star pattern."""
    found = []
    at = 0
    while at < len(pattern):
        letter, following = pattern[at : at + 1], pattern[at + 1 : at + 2]
        if letter == b"*":
            found.append(b"[^%s]*+" % re.escape(following) if following else b".*")
        elif letter == b"+" and plus and following:
            found.append(re.escape(following) + b"++")
            at += 1
        else:
            found.append(re.escape(letter))
        at += 1
    return b"".join(found)


def _lines(text: bytes) -> list[bytes]:
    *lines, last = text.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])
