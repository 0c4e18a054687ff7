"""Extended regular expressions over blocks of lines. Imported only by a script that selects: `re` costs a megabyte."""

from __future__ import annotations

import os
import re

from initfs.notify import ere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern

SPARSE = 256  # bytes: matches that are this far apart are worth a jump from one to the next
_PLAIN = re.compile(rb"\^?[A-Za-z0-9 _:/=,;@%<>\"'#&~!-](?![*?{])[^|]*", re.DOTALL)


class Expression:
    """One expression, and the lines that match it.

    The engine finds an expression that begins with a plain character by leaping, a gigabyte a second; others it tries at every position,
    and then a call for each line is faster.
    """

    __slots__ = ("_leaping", "_pattern", "_shifted", "one")

    def __init__(self, text: str) -> None:
        """ValueError, with the reason, when TEXT is not an expression."""
        source = os.fsencode(text).decode("latin-1")  # one character per byte
        self._pattern = _compile(ere.translate(source, lines=True))
        self.one = self._pattern.search
        self._leaping: Pattern[bytes] | None = None
        self._shifted = source.startswith("^")
        if _PLAIN.fullmatch(source.encode("latin-1")):
            rest = ere.translate(source[self._shifted :], lines=True)
            self._leaping = _compile("\\n" * self._shifted + rest)

    def keep(self, text: bytes) -> bytes:
        """The lines of TEXT that match."""
        if self._leaping is None:
            return b"".join(filter(self.one, _split(text)))
        return b"".join(self._leap(text, kept=True))

    def drop(self, text: bytes) -> bytes:
        """The lines of TEXT that do not match."""
        if self._leaping is None:
            return b"".join([line for line in _split(text) if not self.one(line)])
        found = self._leap(text, kept=False)
        return found[0] if len(found) == 1 else b"".join(found)

    def _leap(self, text: bytes, *, kept: bool) -> list[bytes]:
        """From match to match; when they are dense, line by line from there."""
        assert self._leaping is not None
        search, shift = self._leaping.search, self._shifted
        # The newline before a line stands for its beginning, and the first line gets one.
        source = b"\n" + text if shift else text
        size, at, count = len(text), 0, 0
        found: list[bytes] = []
        while at < size and (match := search(source, at)) is not None:
            where = match.start()
            begin = where if shift else text.rfind(b"\n", at, where) + 1 or at
            end = text.find(b"\n", max(match.end() - shift, begin)) + 1 or size
            found.append(text[begin:end] if kept else text[at:begin])
            at = end
            count += 1
            if count & 15 == 0 and at < count * SPARSE:
                rest = _split(text[at:])
                return [*found, *(line for line in rest if (self.one(line) is not None) is kept)]
        return found if kept else [*found, text[at:]] if at else [text]


def _compile(translated: str) -> Pattern[bytes]:
    try:
        return re.compile(translated.encode("latin-1"), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _split(text: bytes) -> list[bytes]:
    """The lines with their newlines: `splitlines` is faster, but takes a carriage return for an end as well."""
    if b"\r" not in text:
        return text.splitlines(True)
    *lines, last = text.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])
