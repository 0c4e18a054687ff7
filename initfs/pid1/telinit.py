"""telinit: change the run-level: ask the service runleveld to run its script, and exit as that did.

Source: `spec/init.md` 7.6. After run-level 0 the machine powers off, after 6 it reboots. The script runs in an environment that is always the
same, whoever asks, and goes on when the asker leaves.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.main import run
from initfs.pid1 import asking

USAGE = "telinit runlevel"
SOCKET = "/run/service/runleveld/s"
LIMIT = 3_600_000  # milliseconds that a change may take
ENDS = {"0": "poweroff", "6": "reboot"}


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise say.usage(USAGE)
    level = argv[1]
    if level not in ENDS:
        return run(ask(level))
    child = os.fork()
    if not child:
        os._exit(run(ask(level)))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not code:
        asking.send(asking.End(ENDS[level]))
    return code


def ask(level: str) -> list[str]:
    """The command line that asks for the change."""
    return ["svsudo", "-e", "-T", str(LIMIT), "--", SOCKET, level]
