"""tai64nlocal: make local time of the labels that lines begin with. Source: `spec/logging.md` 2.4.

`-g` is Greenwich time, `-d` reads the labels of daemontools, runit and busybox, which know no leap seconds.
"""

from __future__ import annotations

import time

from initfs import options, say, tai
from initfs.log import filter as filters

USAGE = "tai64nlocal [-g] [-d]"


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "gd", USAGE, {"gmt": "g"})
    if rest:
        raise say.usage(USAGE)
    letters = {letter for letter, _ in found}
    calendar = time.gmtime if "g" in letters else time.localtime
    offset = tai.DJB if "d" in letters else tai.LEAP
    seen: dict[int, bytes] = {}  # whole seconds as text: most lines share them

    def local(line: bytes) -> bytes:
        if line[:1] != b"@":
            return line
        try:
            moment = tai.parse(line[: tai.LABEL_SIZE].decode("ascii"), offset)
            second, nano = divmod(moment, tai.NANO)
            text = seen.get(second)
            if text is None:
                if len(seen) > 1000:
                    seen.clear()
                text = seen[second] = time.strftime("%Y-%m-%d %H:%M:%S", calendar(second)).encode()
        except (ValueError, OverflowError, OSError):
            return line
        return text + b".%09d" % nano + line[tai.LABEL_SIZE :]

    return filters.run(lambda block: b"\n".join(map(local, block.split(b"\n"))))
