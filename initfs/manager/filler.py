"""rc-fdholder-filler: store a new pipe in a descriptor holder for each name on standard input.

The connection to the holder is descriptor 6, as from ipcclient; the names are one a line, `#` begins a comment line.
Source: `spec/service-manager.md` 6.4. Our own holder fills itself; this is for one that somebody else runs.
"""

from __future__ import annotations

import os

from initfs import files, loop, options, say
from initfs.local import sockets
from initfs.local.fdholder.client import Holder
from initfs.manager.definition import lines
from initfs.manager.fdholder import pipes

USAGE = "rc-fdholder-filler [-1] [-t ms]"
LONG = {"notify": "1", "timeout": "t"}
CONNECTION = 6


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "1t:", USAGE, LONG)
    if rest:
        raise say.usage(USAGE)
    found = dict(given)
    milliseconds = options.number(found.get("t", "0"), USAGE)
    until = loop.now() + milliseconds / 1000 if milliseconds else loop.NEVER
    names = lines(_input())
    try:
        with Holder(sockets.Channel(sockets.of(CONNECTION), until)) as holder:
            for identifier, fd in pipes(names):
                holder.store(fd, identifier)
                os.close(fd)
    except OSError as error:
        raise say.unable("fill the descriptor holder", error) from error
    if "1" in found:
        files.tried("announce readiness", lambda: os.write(1, b"\n"))
    return say.OK


def _input() -> bytes:
    content = b""
    while more := os.read(0, 65536):
        content += more
    return content
