"""halt, poweroff, reboot: ask process 1 for an orderly end, or with -f the kernel for an immediate one.

Source: `spec/init.md` 7.6. They return at once: the end goes its way without them.
"""

from __future__ import annotations

import os

from initfs import kernel, options, say
from initfs.supervise import svscanctl

USAGE = "halt|poweroff|reboot [-f] [-n]"
SCANDIR = "/run/service"
LETTERS = {"halt": "st", "poweroff": "pt", "reboot": "rt"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "fn", USAGE)
    flags = {option for option, _ in given}
    if rest or argv[0] not in LETTERS:
        raise say.usage(USAGE)
    if "f" not in flags:
        svscanctl.send(SCANDIR, LETTERS[argv[0]])
        return say.OK
    if "n" not in flags:
        os.sync()
    try:
        kernel.reboot(argv[0])
    except OSError as error:
        raise say.unable(argv[0], error) from error
    return say.OK
