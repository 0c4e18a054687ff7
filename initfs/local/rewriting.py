"""The beginning that `ipcserver` and `fdholder-daemon` share: bind a socket, take on an identity. Pure: command lines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BINDER = "dDa:b:"
IDENTITY = "G:g:u:U"


def beginning(found: Sequence[tuple[str, str]], path: str) -> list[str]:
    """The socketbinder with its options, and the loader that takes on ids when some are given; ids that it exported are removed."""
    line = ["ipcserver-socketbinder", *options(found, "dDab"), "--", path]
    identity = options(found, "GguU")
    if identity:
        line += ["applyuidgid", *(["-z"] if "-U" in identity else []), *identity, "--"]
    return line


def options(found: Sequence[tuple[str, str]], letters: str) -> list[str]:
    """The options of these LETTERS as they were given."""
    return [word for letter, text in found if letter in letters for word in _words(letter, text)]


def _words(letter: str, text: str) -> list[str]:
    return [f"-{letter}", text] if text else [f"-{letter}"]


def verbosity(found: Sequence[tuple[str, str]]) -> list[str]:
    """-q, -Q, -v become the server's -v 0, 1, 2; the last one counts."""
    letters = [letter for letter, _ in found if letter in "qQv"]
    return ["-v", str("qQv".index(letters[-1]))] if letters else []
