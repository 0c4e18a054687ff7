"""fdholder-daemon: bind a socket, take on an identity, hold descriptors. Only a command line for programs that do one of these each.

Source: `spec/localservices.md` 5.6.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import next as chain
from initfs.local import rewriting
from initfs.options import parse

USAGE = (
    "fdholder-daemon [-1] [-v n] [-d | -D] [-a mode] [-c clients] [-n descriptors] [-b backlog] [-G gidlist] [-g gid] [-u uid] [-U]"
    " [-t ms] [-T ms] [-K fd] -i dir | -x file path"
)


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], f"1v:c:n:t:T:K:i:x:{rewriting.BINDER}{rewriting.IDENTITY}", USAGE)
    if len(rest) != 1 or len(dict(found).keys() & {"i", "x"}) != 1:
        raise say.usage(USAGE)
    daemon = ["fdholderd", *rewriting.options(found, "1vcntTKix")]
    return chain.run(rewriting.beginning(found, rest[0]) + daemon, USAGE)
