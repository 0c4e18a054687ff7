"""tai64n: put a label before each line. Source: `spec/logging.md` 2.4.

All lines of one read have one label. `-d` is the convention of daemontools, without leap seconds.
"""

from __future__ import annotations

import time

from initfs import options, say, tai
from initfs.log import filter as filters
from initfs.log import stamp

USAGE = "tai64n [-d]"


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "d", USAGE)
    if rest:
        raise say.usage(USAGE)
    offset = tai.DJB if found else tai.LEAP
    return filters.run(
        lambda block: stamp.before_each(stamp.label(time.time_ns(), offset), block), ended=True
    )
