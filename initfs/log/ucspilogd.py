"""ucspilogd: lines of syslog(3), as a stream super-server hands them on, or of the kernel, made readable.

Source: `spec/logging.md` 2.5. A line ends with a newline or a NUL; before it come the values of the variables that are named.
"""

from __future__ import annotations

import os

from initfs import options, tai
from initfs.log import filter as filters
from initfs.log.facility import named

USAGE = "ucspilogd [-D default] variable..."


def main(argv: list[str]) -> int:
    found, names = options.parse(argv[1:], "D:", USAGE)
    default = os.fsencode(dict(found).get("D", "<undefined>"))
    before = b"".join(os.environb.get(os.fsencode(name), default) + b": " for name in names)
    return filters.run(lambda block: readable(block, before), ended=True)


def readable(block: bytes, before: bytes) -> bytes:
    """The lines of a block, each with its label first if it has one, then BEFORE, then names instead of a number."""
    lines = block.replace(b"\0", b"\n").split(b"\n")
    return b"".join([_one(line, before) + b"\n" for line in lines if line])


def _one(line: bytes, before: bytes) -> bytes:
    size = tai.LABEL_SIZE + 1 if is_labelled(line) else 0
    return line[:size] + before + named(line[size:])


def is_labelled(line: bytes) -> bool:
    """Whether a line begins with a label and a space."""
    try:
        tai.parse(line[: tai.LABEL_SIZE].decode("ascii"))
    except ValueError:
        return False
    return line[tai.LABEL_SIZE : tai.LABEL_SIZE + 1] == b" "
