"""ipcclient: connect to a Unix socket and run a program with the connection as descriptors 6 and 7.

Source: `spec/localservices.md` 5.1, after D. J. Bernstein's UCSPI.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.local import sockets
from initfs.options import parse

USAGE = "ipcclient [-q | -Q | -v] [-p bindpath] [-l localname] path prog..."
READING, WRITING = 6, 7


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "qQvp:l:", USAGE)
    given = dict(found)
    if len(rest) < 2:
        raise say.usage(USAGE)
    where, local = sockets.address(rest[0]), given.get("p")
    made = sockets.new()
    try:
        if local is not None:
            files.remove(local)
            made.bind(sockets.address(local))
        made.connect(where)
    except OSError as error:
        raise say.unable(f"connect to {rest[0]}", error) from error
    if "v" in given:
        say.info(f"connected to {rest[0]}")
    os.environ["PROTO"] = "IPC"
    name = given.get("l", local)
    if name is None:
        os.environ.pop("IPCLOCALPATH", None)
    else:
        os.environ["IPCLOCALPATH"] = name
    attach(made.detach())
    return chain.run(rest[1:], USAGE)


def attach(fd: int) -> None:
    """Make the connection FD descriptors 6 and 7. Raises Fatal 111."""
    if fd == WRITING:
        descriptors.copy(READING, fd)
        descriptors.copy(WRITING, fd)
        return
    descriptors.move(READING, fd)
    descriptors.copy(WRITING, READING)
