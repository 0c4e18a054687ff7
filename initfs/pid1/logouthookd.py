"""logouthookd: note the logout of a client that holds a connection open for as long as it is logged in.

Source: `spec/init.md` 7.4. A login program connects, as root, and becomes the login shell: when that ends, however, so does the connection,
and the utmp record of that pid is one of a dead process.
"""

from __future__ import annotations

import _socket
import os
import struct

from initfs import say
from initfs.pid1 import logins, people

USAGE = "logouthookd (below ipcserver)"
TALKS = 2  # the exit code for a client that says something
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise say.usage(USAGE)
    try:
        connection = _socket.socket(fileno=os.dup(0))
        raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, CREDENTIALS.size)
    except OSError as error:
        raise say.unable("use standard input as a socket", error) from error
    pid, uid, _ = CREDENTIALS.unpack(raw)
    if uid:
        return say.NO
    if connection.recv(1):
        return TALKS
    try:
        log_out(people.UTMP, pid, wide=people.wide())
    except OSError as error:
        raise say.unable(f"log out {pid} in {people.UTMP}", error) from error
    return say.OK


def log_out(path: str, pid: int, *, wide: bool) -> bool:
    """Make the record of the login PID one of a dead process; False when there is none."""
    size = logins.WIDE_SIZE if wide else logins.SIZE
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        at = 0
        while len(data := os.pread(fd, size, at)) == size:
            (record,) = logins.read(data, wide=wide)
            if (record.kind, record.pid) == (logins.USER_PROCESS, pid):
                os.pwrite(fd, struct.pack("=h", logins.DEAD_PROCESS), at)
                return True
            at += size
    finally:
        os.close(fd)
    return False
