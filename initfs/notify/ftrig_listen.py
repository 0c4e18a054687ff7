"""ftrig-listen: listen to several fifodirs, run a program, wait until the events of all (or one) of them match.

Source: `spec/notification.md` 4.4.
"""

from __future__ import annotations

from initfs import say
from initfs.notify import child
from initfs.notify.arguments import block
from initfs.notify.events import Listeners, options

USAGE = 'ftrig-listen [-a|-o] [-t ms] fifodir regex ... "" prog...'


def main(argv: list[str]) -> int:
    """0, or 1 after the timeout."""
    flag, deadline, rest = options(argv, "ao", USAGE)
    words, program = block(rest, USAGE)
    if len(words) % 2 or not program:
        raise say.usage(USAGE)
    with Listeners(list(zip(words[::2], words[1::2], strict=True))) as listeners:
        child.start(program)
        listeners.wait(deadline, some=bool(words) and flag == "o")
    return say.OK
