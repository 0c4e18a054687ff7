"""instance-delete: bring an instance down, wait until it is gone, and remove it. Source: `spec/supervision.md` 1.10."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.supervise import linking
from initfs.supervise.instances import layout
from initfs.supervise.instances.create import remove

USAGE = "instance-delete [-X] [-t ms] service name"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "Xt:", USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    milliseconds = options.number(dict(given).get("t", "0"), USAGE)
    service, name = layout.locate(*rest)
    copy = f"{service}/{layout.COPIES}/{name}"
    if not os.path.isdir(copy):
        raise say.Fatal(say.USAGE, f"{service} has no instance {name}")
    layout.become_owner(service)
    if os.path.islink(f"{service}/{layout.LIVE}/{name}"):
        wait = ("X", "") not in given
        linking.unlink(f"{service}/{layout.LIVE}", name, wait=wait, milliseconds=milliseconds)
    try:
        remove(copy)
    except OSError as error:
        raise say.unable(f"remove {copy}", error) from error
    return say.OK
