"""svunlink: take a service out of a scan directory, and return when it is supervised no more.

Source: `spec/supervision.md` 1.8. The scan that this needs may start or end other services whose entries came or went.
"""

from __future__ import annotations

from initfs import options, say
from initfs.supervise import linking

USAGE = "svunlink [-X] [-t ms] scandir name"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "Xt:", USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    milliseconds = options.number(dict(given).get("t", "0"), USAGE)
    linking.unlink(
        rest[0], linking.check_name(rest[1]), wait=("X", "") not in given, milliseconds=milliseconds
    )
    return say.OK
