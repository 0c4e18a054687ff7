"""rc-dryrun: print a command instead of running it, and take some time over it. Source: `spec/service-manager.md` 6.7."""

from __future__ import annotations

import os
import time

from initfs import options, say
from initfs.manager.db import write

USAGE = "rc-dryrun [-v n] [-t ms] command..."
LONG = {"verbosity": "v", "timeout": "t"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "v:t:", USAGE, LONG)
    found = dict(given)
    if not rest:
        raise say.usage(USAGE)
    if options.number(found.get("v", "1"), USAGE):
        write(os.fsencode(f"rc-dryrun: {' '.join(rest)}\n"))
    time.sleep(options.number(found.get("t", "1000"), USAGE) / 1000)
    return say.OK
