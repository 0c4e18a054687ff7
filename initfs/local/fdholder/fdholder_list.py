"""fdholder-list: the names of all held descriptors, one in a line. Source: `spec/localservices.md` 5.6."""

from __future__ import annotations

import os

from initfs import say
from initfs.local.fdholder import commands
from initfs.options import parse

USAGE = "fdholder-list [-t ms] path"


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "t:", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    until = commands.deadline(dict(found).get("t", "0"), USAGE)
    names = commands.ask(rest[0], until, "list", lambda holder: holder.names())
    data = b"".join(quoted(name) + b"\n" for name in names)
    while data:
        data = data[os.write(1, data) :]
    return say.OK


def quoted(name: bytes) -> bytes:
    r"""A name without bytes that could be taken for another line: odd ones as \xAB, a backslash twice."""
    return b"".join(
        b"\\\\" if byte == 92 else bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte for byte in name
    )
