"""ftrig-notify: send every byte of a message as one event to all who listen in a fifodir; that nobody does is fine.

Source: `spec/notification.md` 4.4.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.notify import fifodir
from initfs.options import parse

USAGE = "ftrig-notify fifodir message"


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    try:
        fifodir.notify(rest[0], os.fsencode(rest[1]))
    except OSError as error:
        raise say.unable(f"notify {rest[0]}", error) from error
    return say.OK
