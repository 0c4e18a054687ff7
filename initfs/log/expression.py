"""Extended regular expressions over blocks of lines. Imported only by a script that selects: `re` costs a megabyte."""

from __future__ import annotations

import os
import re
from _io import BytesIO  # iterates over lines that end in newlines alone, unlike `splitlines`
from itertools import repeat

from initfs.log.lines import pieces
from initfs.notify import ere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from re import Pattern

SPARSE = 256  # bytes: matches that are this far apart are worth a jump from one to the next
SPECIAL = frozenset("^$.[]|()*+?{}\\")
_BRACKETS = re.compile(r"\[\^?\]?[^\]]*\]")
_ANCHORED = re.compile(r"\^(?![*+?{])(?:[^|]*|\([^()\[\]\\]*\)[^|]*)", re.DOTALL)  # it has no other branch


class Expression:
    """One expression, and the lines that match it.

    An expression that begins with `^` is looked for behind each newline, all over the block in one call. Another is looked for over the block
    as well; but where most lines match, a call for each line is faster, unless it is seen at once that all do.
    """

    __slots__ = ("_alike", "_at_begin", "_literal", "_tail", "one")

    def __init__(self, text: str) -> None:
        """ValueError, with the reason, when TEXT is not an expression."""
        source = os.fsencode(text).decode("latin-1")  # one character per byte
        translated = ere.translate(source, lines=True)
        self.one = _compile(translated).search
        self._literal = literal(source)
        self._alike = False  # all lines of the last block matched, so it is worth while to ask for it first
        self._tail = _compile(f"(?:{translated})[^\\n]*\\n")
        self._at_begin: Pattern[bytes] | None = None
        if _ANCHORED.fullmatch(source):
            rest = ere.translate(source[1:], lines=True)
            self._at_begin = _compile(f"\\n(?!\\Z)(?:{rest})[^\\n]*")

    def keep(self, text: bytes) -> bytes:
        """The lines of TEXT that match."""
        if self._at_begin is not None and text.endswith(b"\n"):
            find = self._at_begin.findall
            found = b"".join([b"".join(find(b"\n" + piece)) for piece in pieces(text)])
            return found[1:] + b"\n" if found else b""
        return _joined(self._leap(text, kept=True))

    def drop(self, text: bytes) -> bytes:
        """The lines of TEXT that do not match."""
        if self._at_begin is not None and text.endswith(b"\n"):
            sub = self._at_begin.sub
            return b"".join([sub(b"", b"\n" + piece)[1:] for piece in pieces(text)])
        return _joined(self._leap(text, kept=False))

    def _leap(self, text: bytes, *, kept: bool) -> list[bytes]:
        """From match to match; when they are dense, line by line from there."""
        if self._alike and self._all(text):
            return [text] if kept else []
        self._alike = False
        search, size = self.one, len(text)
        at = count = matched = 0
        found: list[bytes] = []
        while at < size and (match := search(text, at)) is not None:
            begin = text.rfind(b"\n", at, match.start()) + 1 or at
            end = text.find(b"\n", match.end()) + 1 or size
            found.append(text[begin:end] if kept else text[at:begin])
            matched += end - begin
            at = end
            count += 1
            if count & 15 == 0 and at < count * SPARSE:
                rest = text[at:]
                if matched == at and self._all(rest):
                    self._alike = True
                    return [*found, rest] if kept else []
                return [*found, *self._each(rest, kept=kept)]
        return found if kept else [*found, text[at:]] if at else [text]

    def _each(self, text: bytes, *, kept: bool) -> Iterator[bytes]:
        """Line by line."""
        search = self.one
        for piece in pieces(text):
            if kept:
                yield b"".join(filter(search, BytesIO(piece)))
            else:
                yield b"".join([line for line in BytesIO(piece) if search(line) is None])

    def _all(self, text: bytes) -> bool:
        """Whether all lines match: by a literal that each has, which is found faster than an expression, or by counting."""
        if self._literal and -1 not in map(bytes.find, BytesIO(text), repeat(self._literal)):
            return True
        return text.endswith(b"\n") and all(
            len(self._tail.findall(piece)) == piece.count(b"\n") for piece in pieces(text)
        )


def _joined(found: list[bytes]) -> bytes:
    return found[0] if len(found) == 1 else b"".join(found)


def _compile(translated: str) -> Pattern[bytes]:
    try:
        return re.compile(translated.encode("latin-1"), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def literal(source: str) -> bytes:
    """An alternative of an expression that stands for itself alone; nothing when it cannot be told easily that there is one."""
    if set(source) & set("()\\\n") or "[:" in source or "[." in source or "[=" in source:
        return b""
    plain = _BRACKETS.sub("[]", source)
    found = [part for part in plain.split("|") if part and not set(part) & SPECIAL]
    return found[0].encode("latin-1") if found else b""
