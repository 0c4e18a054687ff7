"""The block launcher's language: a script is one command line, written over many lines. Pure.

Words are divided by white space. `"..."` keeps white space in a word and knows escapes, a backslash outside keeps the
next character, `#` at the beginning of a word opens a comment to the end of the line. A word `{` opens a block, a word `}`
closes it. In the command line each word of a block has one space before it, and an empty word ends the block: so blocks
nest, and a program finds its own by looking at first characters only. Source: execline's language.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHITE = bytes(range(1, 33))  # each control character, whatever it does on a terminal
OPEN, CLOSE = b"{", b"}"
_ESCAPES = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))
_HEX, _OCTAL, _DECIMAL = b"0123456789abcdefABCDEF", b"01234567", b"0123456789"


class BadScript(ValueError):
    """A script that is not a command line; its text says why and in which line."""


def lex(script: bytes) -> list[str]:
    """The command line that a script is. Raises BadScript."""
    found: list[str] = []
    opened: list[int] = []  # the positions of the open blocks' braces
    for word, plain, position in _words(script):
        if plain and word == OPEN:
            opened.append(position)
        elif plain and word == CLOSE:
            if not opened:
                raise _bad(script, position, "unmatched }")
            opened.pop()
            found.append(" " * len(opened))
        else:
            found.append(" " * len(opened) + os.fsdecode(word))
    if opened:
        raise _bad(script, opened[-1], "unmatched {")
    return found


def block(words: list[str]) -> tuple[list[str], list[str]] | None:
    """The block at the beginning of WORDS, one level lower, and what follows it; None when there is none."""
    for index, word in enumerate(words):
        if not word:
            return [each[1:] for each in words[:index]], words[index + 1 :]
        if not word.startswith(" "):
            return None
    return None


def quote(words: Iterable[str]) -> bytes:
    """A line of script that is lexed to these words, all of them outside blocks."""
    line = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    return os.fsencode(line)


def _bad(script: bytes, position: int, text: str) -> BadScript:
    line = script.count(b"\n", 0, position) + 1
    return BadScript(f"line {line}: {text}")


def _words(script: bytes) -> Iterator[tuple[bytes, bool, int]]:
    """(word, whether nothing in it was quoted, where it begins) of each word."""
    if b"\0" in script:
        raise _bad(script, script.index(b"\0"), "a NUL byte")
    at, end = 0, len(script)
    while at < end:
        if script[at] in WHITE:
            at += 1
        elif script[at] == b"#"[0]:
            newline = script.find(b"\n", at)
            at = end if newline < 0 else newline
        elif script[at : at + 2] == b"\\\n":
            at += 2  # between words it continues the line; after the beginning of a word it would be a newline in that
        else:
            begin = at
            word, plain, at = _word(script, at)
            yield word, plain, begin


def _word(script: bytes, at: int) -> tuple[bytes, bool, int]:
    word, plain = bytearray(), True
    while at < len(script) and script[at] not in WHITE:
        byte, at = script[at], at + 1
        if byte == b'"'[0]:
            at = _quoted(script, at, word)
        elif byte == b"\\"[0]:
            if at == len(script):
                raise _bad(script, at, "a backslash at the end")
            word.append(script[at])
            at += 1
        else:
            word.append(byte)
            continue
        plain = False
    return bytes(word), plain, at


def _quoted(script: bytes, at: int, word: bytearray) -> int:
    """Add what is quoted from AT on to WORD and return where it ends."""
    begin = at
    while at < len(script):
        byte, at = script[at], at + 1
        if byte == b'"'[0]:
            return at
        if byte == b"\\"[0]:
            at = _escape(script, at, word)
        else:
            word.append(byte)
    raise _bad(script, begin, 'unmatched "')


def _escape(script: bytes, at: int, word: bytearray) -> int:
    byte = script[at : at + 1]
    if byte == b"\n":
        return at + 1
    if byte in _DECIMAL and byte:
        return _number(script, at, word)
    word += bytes([_ESCAPES.get(byte[0], byte[0])]) if byte else b""
    return at + 1


def _number(script: bytes, at: int, word: bytearray) -> int:
    r"""`\0xAB`, `\0123`, `\123`: one byte in hexadecimal, octal, decimal."""
    if script[at : at + 2] == b"0x":
        start, digits, base, most = at + 2, _HEX, 16, 2
    elif script[at : at + 1] == b"0":
        start, digits, base, most = at + 1, _OCTAL, 8, 3
    else:
        start, digits, base, most = at, _DECIMAL, 10, 3
    end = start
    while end < len(script) and end < start + most and script[end] in digits:
        end += 1
    value = int(script[start:end] or b"0", base)
    if not 0 < value < 256:
        raise _bad(script, at, "no such byte")
    word.append(value)
    return end
