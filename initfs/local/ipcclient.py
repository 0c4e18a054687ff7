"""ipcclient: connect to a Unix socket and run a program with the connection as descriptors 6 and 7.

Source: `spec/localservices.md` 5.1, after D. J. Bernstein's UCSPI.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.local import sockets
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

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
            _bind(made, local)
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


def _bind(made: socket, path: str) -> None:
    """Give the client a name. What is there already is somebody's, and stays."""
    try:
        made.bind(sockets.address(path))
    except OSError as error:
        raise say.unable(f"bind to {path}", error) from error


def attach(fd: int) -> None:
    """Make the connection FD descriptors 6 and 7. Raises Fatal 111."""
    if fd == WRITING:
        descriptors.copy(READING, fd)
        descriptors.copy(WRITING, fd)
        return
    descriptors.move(READING, fd)
    descriptors.copy(WRITING, READING)
