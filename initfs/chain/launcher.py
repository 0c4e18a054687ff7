"""chain: run a script in the block language, which is one command line of chain loaders, and then is gone.

Source: `spec/chainloading.md` 3.10 and execline's launcher. `#!/bin/chain -P` makes it a file's interpreter.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import next as chain
from initfs.chain import words
from initfs.chain.substitute import in_words

USAGE = "chain [-P | -S n | -s n] -c script | file argument..."


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "PS:s:c:", USAGE)
    given = dict(found)
    counts = {letter: options.number(given[letter], USAGE) for letter in "Ss" if letter in given}
    if "c" in given:
        script, zero = os.fsencode(given["c"]), argv[0]
    elif rest:
        script, zero = _read(rest[0]), rest.pop(0)
    else:
        raise say.usage(USAGE)
    try:
        line = words.lex(script)
    except words.BadScript as error:
        raise say.Fatal(say.USAGE, f"unable to understand {zero}: {error}") from None
    if counts:
        line = in_words(line, positional(zero, rest, *counts.values(), shift="s" in counts))
    elif "P" not in given:
        os.environ.update({str(index): word for index, word in enumerate([zero, *rest])})
        os.environ["#"] = str(len(rest))
    return chain.run(line, USAGE) if line else say.OK


def positional(zero: str, arguments: list[str], count: int, *, shift: bool = False) -> dict[str, list[str]]:
    """The variables `#`, `0`, `1` to COUNT and `@`. A missing argument is empty; SHIFT leaves the first ones out of `@`."""
    first = {
        str(index + 1): [word]
        for index, word in enumerate([*arguments[:count], *[""] * (count - len(arguments))])
    }
    return {"#": [str(len(arguments))], "0": [zero], **first, "@": arguments[count if shift else 0 :]}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise say.unable(f"read {path}", error) from None
