"""svlink: put a service into a scan directory, and return when it is supervised. Source: `spec/supervision.md` 1.8."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.supervise import linking

USAGE = "svlink [-d|-D] [-P] [-f] [-t ms] scandir servicedir [name]"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], linking.LETTERS, USAGE)
    if len(rest) not in (2, 3):
        raise say.usage(USAGE)
    scandir, directory = rest[:2]
    target = os.path.abspath(directory)
    name = linking.check_name(rest[2] if len(rest) > 2 else os.path.basename(target))
    linking.link(scandir, directory, name, target, linking.options(given, USAGE))
    return say.OK
