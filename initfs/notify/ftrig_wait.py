"""ftrig-wait, ftrig-listen1: wait until the events of one fifodir match a regular expression, and print them.

Source: `spec/notification.md` 4.4. ftrig-listen1 runs a program after it has begun to listen.
"""

from __future__ import annotations

from initfs import say
from initfs.notify import child
from initfs.notify.events import Listeners, options, report

USAGE = "ftrig-wait [-t ms] fifodir regex | ftrig-listen1 [-t ms] fifodir regex prog..."


def main(argv: list[str]) -> int:
    """0 and the events on standard output, or 1 after the timeout."""
    _, deadline, rest = options(argv, "", USAGE)
    runs = argv[0] == "ftrig-listen1"
    if len(rest) < 3 if runs else len(rest) != 2:
        raise say.usage(USAGE)
    with Listeners([(rest[0], rest[1])]) as listeners:
        if runs:
            child.start(rest[2:])
        report(listeners.wait(deadline))
    return say.OK
