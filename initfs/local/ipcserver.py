"""ipcserver: serve a Unix socket: bind it, take on an identity, accept. Only a command line for programs that do one of these each.

Source: `spec/localservices.md` 5.2.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import next as chain
from initfs.local import rewriting
from initfs.options import parse

USAGE = (
    "ipcserver [-1] [-q | -Q | -v] [-d | -D] [-P | -p] [-a mode] [-c connections] [-C connections per uid] [-b backlog]"
    " [-G gidlist] [-g gid] [-u uid] [-U] path prog..."
)


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], f"1qQvPpc:C:{rewriting.BINDER}{rewriting.IDENTITY}", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    return chain.run(line(found, rest), USAGE)


def line(found: list[tuple[str, str]], rest: list[str]) -> list[str]:
    """The command line that it stands for."""
    server = ["ipcserverd", *rewriting.verbosity(found), *rewriting.options(found, "1PpcC"), "--"]
    return rewriting.beginning(found, rest[0]) + server + rest[1:]
