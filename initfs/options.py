"""Command-line options as getopt(3) reads them: clusters, the first non-option ends them, so does `--`.

`getopt` and `argparse` of the standard library cost a program more than the rest of its start.
"""

from __future__ import annotations

from initfs.say import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


DIGITS = 12


def parse(
    arguments: list[str], letters: str, usage_line: str, long: Mapping[str, str] | None = None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Split ARGUMENTS (without the program's name) into options and the rest.

    LETTERS as for getopt(3): `ab:c` is a flag a, an option b with a value, a flag c. A long name is a synonym of a letter.
    Returns ([(letter, value or ""), ...] in order, the rest). A bad option raises say.Fatal 100 with the usage line.
    """
    found: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            found.append(_long(word[2:], rest, letters, usage_line, long or {}))
        else:
            found += _cluster(word[1:], rest, letters, usage_line)
    return found, rest


def _long(
    word: str, rest: list[str], letters: str, usage_line: str, long: Mapping[str, str]
) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    letter = long.get(name)
    if letter is None:
        raise usage(usage_line)
    if f"{letter}:" not in letters:
        if equals:
            raise usage(usage_line)
        return letter, ""
    if not equals:
        if not rest:
            raise usage(usage_line)
        value = rest.pop(0)
    return letter, value


def _cluster(cluster: str, rest: list[str], letters: str, usage_line: str) -> list[tuple[str, str]]:
    found = []
    for index, letter in enumerate(cluster):
        if letter == ":" or letter not in letters:
            raise usage(usage_line)
        if f"{letter}:" not in letters:
            found.append((letter, ""))
            continue
        value = cluster[index + 1 :]
        if not value:
            if not rest:
                raise usage(usage_line)
            value = rest.pop(0)
        found.append((letter, value))
        break
    return found


def number(text: str, usage_line: str, least: int = 0) -> int:
    """A decimal number of at least LEAST and at most twelve digits, or wrong usage: no size, time or id that makes sense has more."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS) or int(text) < least:
        raise usage(usage_line)
    return int(text)
