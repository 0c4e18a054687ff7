"""svok: is this directory supervised? 0 yes, 1 no, silently; 100 for wrong usage, 111 for trouble.

The daemontools form names a service in $SVDIR, and has 100 for "no", as there (`spec/supervision.md` 1.9).
"""

from __future__ import annotations

from initfs import say
from initfs.supervise import client

USAGE = "svok servicedir"


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise say.usage(USAGE)
    directory = client.locate(argv[1])
    try:
        if client.supervised(directory):
            return say.OK
        return say.NO if directory == argv[1] else say.USAGE
    except OSError as error:
        raise say.unable(f"look at {argv[1]}", error) from error
