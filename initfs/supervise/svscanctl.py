"""svscanctl: send commands to the svscan of a scan directory.

Source: `spec/supervision.md` 1.1. -p -r -s and the historic -0 -6 -7 -8 choose the word that `finish` is given.
-x, --reexec: execute yourself anew, taking everything along; also after the package was replaced.
"""

from __future__ import annotations

import errno

from initfs import files, options, say

USAGE = "svscanctl [-zabhitqnNxprs0678] [--reexec] scandir"
LETTERS_MAX = 64
HISTORIC = {"0": "st", "6": "rt", "7": "pt", "8": "et"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "zabhitqnNxprs0678", USAGE, {"reexec": "x"})
    letters = "".join(HISTORIC.get(letter, letter) for letter, _ in given)
    if len(rest) != 1 or len(letters) > LETTERS_MAX:
        raise say.usage(USAGE)
    send(rest[0], letters)
    return say.OK


def send(scandir: str, letters: str) -> None:
    """Send command letters; say.Fatal 100 when no svscan runs there."""
    if not letters:
        return
    try:
        files.send(f"{scandir}/.svscan/control", letters.encode())
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR):
            raise say.Fatal(say.USAGE, f"no svscan runs on {scandir}") from error
        raise say.unable(f"control the svscan of {scandir}", error) from error
