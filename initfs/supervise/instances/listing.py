"""instance-list: print the names of all instances, up or down. Source: `spec/supervision.md` 1.10."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.supervise import client
from initfs.supervise.instances import layout

USAGE = "instance-list service"


def main(argv: list[str]) -> int:
    _, rest = options.parse(argv[1:], "", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    path = f"{client.locate(rest[0])}/{layout.COPIES}"
    try:
        names = os.listdir(path)
    except OSError as error:
        raise say.unable(f"list {path}", error, say.USAGE if error.errno == 2 else say.TEMPORARY) from error
    for name in names:
        if not name.startswith("."):
            print(name)
    return say.OK
