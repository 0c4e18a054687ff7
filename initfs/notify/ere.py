r"""POSIX extended regular expressions over bytes, by translation into Python's: the same strings match.

What is translated, because Python reads it otherwise:

    [[:alpha:]] [[=a=]] [[.-.]]    classes, equivalents and names in brackets (C locale, one byte is one character)
    [\n]                           a backslash in brackets is itself
    .                              any byte, a newline too
    ^ $                            the beginning and the end of the sequence, never of a line
    a*+ a+? a{2}*                  a repetition of a repetition, where Python sees possessive or lazy ones
    \d \b \1                       the characters d, b, 1: extended expressions have no such escapes
    (?:x)                          wrong, as nothing is there to be repeated

Which of several matches is chosen differs (Python: the first alternative, POSIX: the longest), but nobody here asks.
Python backtracks: `(a*)*b` may take for ever on a long row of a. Only these programs read expressions, never process 1.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "blank": " \\t",
    "space": " \\t\\n\\r\\f\\v",
    "punct": "!-/:-@\\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": "\\x00-\\x1f\\x7f",
    "xdigit": "0-9A-Fa-f",
}
# An empty line has its newline, what follows the last newline has nothing; a newline in the expression is in no line.
WITHIN_A_LINE = {".": "[^\\n]", "^": "(?:^(?=[\\s\\S]))", "$": "(?=\\n)", "\n": "(?!)"}
_REPEAT = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_NAMED = re.compile(r"\[([:=.])(.*?)\1\]", re.DOTALL)


class Expression:
    """An extended regular expression, and the question whether a growing sequence of bytes matches it by now."""

    def __init__(self, text: str) -> None:
        """ValueError, with the reason, when TEXT is not an expression."""
        source = os.fsencode(text).decode("latin-1")  # one character per byte
        try:
            self._pattern: Pattern[bytes] = re.compile(translate(source).encode("latin-1"), re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from error
        # Without an anchor at the end, what matches goes on matching when more comes.
        self._lasting = "$" not in text

    def first(self, received: bytes, before: int = 0) -> int | None:
        """The length of the shortest beginning of RECEIVED, longer than BEFORE bytes, that matches; None: none does."""
        if not self._lasting:
            lengths = range(before + 1, len(received) + 1)
            return next((length for length in lengths if self._matches(received, length)), None)
        if before >= len(received) or not self._matches(received, len(received)):
            return None
        low, high = before + 1, len(received)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._matches(received, middle) else (middle + 1, high)
        return low

    def matches(self, whole: bytes) -> bool:
        """Whether it matches somewhere in WHOLE, to which nothing will be added."""
        return self._pattern.search(whole) is not None

    def _matches(self, received: bytes, length: int) -> bool:
        return self._pattern.search(received, 0, length) is not None


def translate(source: str, *, lines: bool = False) -> str:
    """Python's spelling of the extended expression SOURCE; ValueError when it is none.

    With LINES what it matches is within a line of a text whose every line ends in a newline, as REG_NEWLINE of regcomp(3) has it:
    no dot and no bracket matches a newline, ^ and $ are the line's (re.MULTILINE).
    """
    levels: list[list[str]] = [[]]  # the atoms of each open parenthesis
    at = 0
    while at < len(source):
        repeat = _REPEAT.match(source, at)
        if repeat:
            _repeat(levels[-1], repeat[0])
            at = repeat.end()
        elif source[at] == "[":
            atom, at = _bracket(source, at)
            levels[-1].append(_without_newline(atom) if lines else atom)
        elif lines and source[at] in WITHIN_A_LINE:
            levels[-1].append(WITHIN_A_LINE[source[at]])
            at += 1
        else:
            at = _atom(source, at, levels)
    if len(levels) > 1:
        raise ValueError("missing )")
    return "".join(levels[0])


def _without_newline(atom: str) -> str:
    """A bracket expression that does not match a newline."""
    if atom.startswith("[^"):
        return f"[^\\n{atom[2:]}"
    return f"(?:(?!\\n){atom})" if re.match(atom, "\n") else atom


def _atom(source: str, at: int, levels: list[list[str]]) -> int:
    """Read what stands at AT, neither a repetition nor a bracket; return where the next thing begins."""
    letter = source[at]
    if letter == "(":
        levels.append([])
    elif letter == ")" and len(levels) > 1:
        inside = "".join(levels.pop())
        levels[-1].append(f"(?:{inside})")
    elif letter in "|.":
        levels[-1].append(letter)
    elif letter in "^$":
        levels[-1].append("(?:\\A)" if letter == "^" else "(?:\\Z)")
    elif letter == "\\":
        at += 1
        if at == len(source):
            raise ValueError("trailing backslash")
        levels[-1].append(re.escape(source[at]))
    else:
        levels[-1].append(re.escape(letter))
    return at + 1


def _repeat(atoms: list[str], sign: str) -> None:
    if not atoms or atoms[-1] == "|":
        raise ValueError(f"nothing to repeat before {sign}")
    atoms[-1] = f"(?:{atoms[-1]}{sign})"


def _bracket(source: str, at: int) -> tuple[str, int]:
    """The bracket expression that begins at AT, in Python's spelling, and where it ends."""
    at += 1
    negated = source.startswith("^", at)
    at += negated
    items: list[str] = []
    while not (items and source.startswith("]", at)):
        item, at = _member(source, at)
        if len(item) == 1 and source.startswith("-", at) and source[at + 1 : at + 2] not in ("]", ""):
            last, at = _member(source, at + 1)
            if len(last) != 1 or last < item:
                raise ValueError("bad range in brackets")
            items.append(f"{re.escape(item)}-{re.escape(last)}")
        else:
            items.append(re.escape(item) if len(item) == 1 else item)
    return f"[{'^' * negated}{''.join(items)}]", at + 1


def _member(source: str, at: int) -> tuple[str, int]:
    """One character of a bracket expression, or a class as Python's ranges, and where the next one begins."""
    named = _NAMED.match(source, at)
    if named is None:
        if at >= len(source):
            raise ValueError("missing ]")
        return source[at], at + 1
    kind, name = named.groups()
    if kind == ":" and name in CLASSES:
        return CLASSES[name], named.end()
    if kind != ":" and len(name) == 1:
        return name, named.end()
    raise ValueError(f"unknown name in brackets: {name}")
