"""svok: is this directory supervised? 0 yes, 1 no, silently; 100 for wrong usage, 111 for trouble."""

from __future__ import annotations

from initfs import say
from initfs.supervise import client

USAGE = "svok servicedir"


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise say.usage(USAGE)
    try:
        return say.OK if client.supervised(client.locate(argv[1])) else say.NO
    except OSError as error:
        raise say.unable(f"look at {argv[1]}", error) from error
