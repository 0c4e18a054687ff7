"""halt, poweroff, reboot, hpr: ask process 1 for an orderly end, or with -f the kernel for an immediate one.

Source: `spec/init.md` 7.6. They return at once: the end goes its way without them. hpr is told by -h, -p or -r which it is.
"""

from __future__ import annotations

import os

from initfs import kernel, options, say
from initfs.pid1 import asking, logins, people

USAGE = "halt|poweroff|reboot [-f] [-n] [-d | -w] [-W] [-i], or hpr -h|-p|-r and these"
MODES = {"h": "halt", "p": "poweroff", "r": "reboot"}
PROGRAMS = tuple(MODES.values())


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "hprfndwWi", USAGE)
    flags = {option for option, _ in given}
    chosen = [MODES[letter] for letter, _ in given if letter in MODES]
    mode = chosen[-1] if chosen else argv[0]
    if rest or mode not in PROGRAMS:
        raise say.usage(USAGE)
    if "i" in flags:
        people.this_host(argv[0])
    if "w" in flags:
        people.record(logins.RUN_LEVEL, "shutdown")
        return say.OK
    if "f" in flags:
        return at_once(mode, sync="n" not in flags, record="d" not in flags)
    if "W" not in flags:
        people.tell(f"The system is going to {mode} now!")
    asking.send(asking.End(mode))
    return say.OK


def at_once(mode: str, *, sync: bool, record: bool) -> int:
    """Make the system call, without process 1."""
    if record:
        people.record(logins.RUN_LEVEL, "shutdown")
    if sync:
        os.sync()
    try:
        kernel.reboot(mode)
    except OSError as error:
        raise say.unable(mode, error) from error
    return say.OK
