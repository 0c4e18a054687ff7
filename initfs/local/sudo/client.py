"""The unprivileged side: hand an order and three descriptors to a server, wait for the program's end.

status = run(connection, connection, arguments, variables, (0, 1, 2), start_by, end_by)
"""

from __future__ import annotations

import os
import select

from initfs import loop
from initfs.local import sockets
from initfs.local.sudo import protocol
from initfs.local.wire import Malformed, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket


class Refused(OSError):
    """The server could not start the program; errno says why."""


def run(
    reading: socket,
    writing: socket,
    arguments: Sequence[bytes],
    variables: Sequence[bytes],
    descriptors: Sequence[int],
    start_by: float = loop.NEVER,
    end_by: float = loop.NEVER,
) -> int:
    """The wait status of the program that the server ran for us.

    START_BY and END_BY are monotonic seconds: TimeoutError. Refused with the server's errno; ConnectionError when the
    server has gone, or did not let us in; Malformed when it is none.
    """
    for end in (reading, writing):
        end.setblocking(False)
    if _exactly(reading, len(protocol.HELLO), start_by) != protocol.HELLO:
        raise Malformed("the server speaks another language")
    data, rights = frame(protocol.encode(arguments, variables), len(descriptors)), tuple(descriptors)
    while data:
        try:
            sent = sockets.send(writing, data, rights)
        except BlockingIOError:
            sockets.wait(writing.fileno(), select.POLLOUT, start_by)
            continue
        data, rights = data[sent:], ()
    number = _exactly(reading, 1, start_by)[0]
    if number:
        raise Refused(number, os.strerror(number))
    return int.from_bytes(_exactly(reading, 4, end_by), "big")


def _exactly(reading: socket, count: int, deadline: float) -> bytes:
    found = b""
    while len(found) < count:
        try:
            came = reading.recv(count - len(found))
        except BlockingIOError:
            sockets.wait(reading.fileno(), select.POLLIN, deadline)
            continue
        if not came:
            raise ConnectionResetError(104, os.strerror(104))
        found += came
    return found
