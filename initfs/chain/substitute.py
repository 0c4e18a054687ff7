"""Substitution of variables in the words of a command line: pure, and once, never again in its own result.

Source: execline's rules as its programs show them. `${name}` anywhere, `$name` where a word or another `$` follows; a
backslash before it takes the meaning away and goes. A variable is a list of words: a word that holds it becomes as many.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BLANKS = " \n\r\t"


def in_words(words: Iterable[str], values: Mapping[str, Sequence[str]]) -> list[str]:
    """The words with each variable of VALUES replaced; other names stay as they are."""
    return [new for word in words for new in in_word(word, values)]


def in_word(word: str, values: Mapping[str, Sequence[str]]) -> list[str]:
    """The words that come of one: every combination when it holds several variables of several words."""
    if "$" not in word:
        return [word]
    found = [""]
    for piece in _pieces(word, values):
        found = [one + other for one in found for other in piece]
    return found


def _pieces(word: str, values: Mapping[str, Sequence[str]]) -> list[Sequence[str]]:
    pieces: list[Sequence[str]] = []
    before, dollar, after = word.partition("$")
    while dollar:
        name, size = _reference(after, values)
        if not size:
            pieces.append([before + "$"])
        else:
            bare = before.rstrip("\\")
            slashes = len(before) - len(bare)
            pieces.append([bare + "\\" * (slashes // 2)])
            pieces.append(["$" + after[:size]] if slashes % 2 else values[name])
        before, dollar, after = after[size:].partition("$")
    return [*pieces, [before]]


def _reference(text: str, values: Mapping[str, Sequence[str]]) -> tuple[str, int]:
    """The variable that TEXT, what follows a `$`, begins with, and the length of that; ("", 0) when it is none."""
    if text.startswith("{"):
        name, brace, _ = text[1:].partition("}")
        return (name, len(name) + 2) if brace and name in values else ("", 0)
    name = text.partition("$")[0]
    return (name, len(name)) if name in values else ("", 0)


def split(text: str, delimiters: str = BLANKS, *, crunch: bool = False) -> list[str]:
    """The words of a value: each ends at a delimiter; CRUNCH takes a row of delimiters for one."""
    words = [""]
    for character in text:
        if character in delimiters:
            words.append("")
        else:
            words[-1] += character
    if not words[-1]:
        words.pop()
    return [word for word in words if word or not crunch]
