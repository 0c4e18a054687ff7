"""events: print the event lines of a tree, the remembered ones first (`docs/events.md`)."""

from __future__ import annotations

import _socket
import os

from initfs import options, say

USAGE = "events [-n] [scandir]"
SOCKET = "/run/initfs/events"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "n", USAGE)
    if len(rest) > 1:
        raise say.usage(USAGE)
    path = f"{rest[0]}/.svscan/events" if rest else SOCKET
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.connect(path)
    except OSError as error:
        raise say.unable(f"listen on {path}", error) from error
    if ("n", "") in given:
        listener.shutdown(_socket.SHUT_WR)  # the tree closes on us, after what it remembers
    return _copy(listener)


def _copy(listener: _socket.socket) -> int:
    while True:
        data = listener.recv(65536)
        if not data:
            return say.OK
        while data:
            data = data[os.write(1, data) :]
