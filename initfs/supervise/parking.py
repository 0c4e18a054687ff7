"""Open files that are only to be held: they need not be in the table of descriptors.

A lock that belongs to an open file, of flock(2) or F_OFD_SETLK, lasts as long as that file is open somewhere; it need not be a
descriptor. One that was sent through a Unix socket and has not been received (SCM_RIGHTS, unix(7)) is open in the message. And whoever
starts children should have few descriptors: each child gets a copy of every one, and closes it in exec(3), locked files most slowly. With a
thousand services that was a tenth of the time of a start, and a third of a successor's.

So whenever a ROW of files is held, they are parked: one message, in a socket of which we keep the end that could receive it. To let one go,
its row is received, and is a row of descriptors again until the next file comes to be held. So the end of a tree unparks each row once.
Where the kernel refuses, as a user may have no more descriptors under way than one process may have open, they simply stay descriptors.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False

ROW = 50  # descriptors in a message, of which there can be 253
INT = 4  # bytes

if TYPE_CHECKING:
    import socket as _socket

    Row = tuple[_socket.socket, list["Held"]]
else:
    import _socket


class Held:
    """An open file. It has a descriptor, or is in a row."""

    __slots__ = ("fd", "row")

    def __init__(self, fd: int) -> None:
        """Hold what FD has open; that descriptor is ours from now on."""
        self.fd = fd
        self.row: Row | None = None
        _loose[self] = None
        if len(_loose) >= ROW:
            _park()

    def descriptor(self) -> int:
        """A descriptor of it, which stays ours, and is one until the next file comes to be held. OSError when there can't be one."""
        if self.row is not None:
            _unpark(*self.row)
        return self.fd

    def close(self) -> None:
        """Let it go."""
        os.close(self.descriptor())
        del _loose[self]


# Those that have a descriptor, the oldest first; after a failure also one that has none.
_loose: dict[Held, None] = {}


def _park() -> None:
    """Park a row. That it can't be done is nobody's trouble; once it is sent nothing fails that would leave a file half parked."""
    try:
        files = [held for held in _loose if held.row is None][:ROW]
        row = _send([held.fd for held in files]), files
    except (OSError, MemoryError):
        return
    for held in files:
        held.row = row
        del _loose[held]
        os.close(held.fd)


def _send(fds: list[int]) -> _socket.socket:
    """The receiving end of a socket in which a message with these descriptors waits."""
    receiver, sender = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    numbers = b"".join(fd.to_bytes(INT, sys.byteorder) for fd in fds)
    try:
        sender.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    except OSError:
        receiver.close()
        raise
    finally:
        sender.close()
    return receiver


def _unpark(receiver: _socket.socket, files: list[Held]) -> None:
    _loose.update(dict.fromkeys(files))  # first what needs memory: nothing that follows stops half-way
    for held, fd in zip(files, _receive(receiver, len(files)), strict=True):
        held.fd, held.row = fd, None
    receiver.close()


def _receive(receiver: _socket.socket, count: int) -> list[int]:
    """All descriptors of the message, or OSError: without room for one the kernel drops it, so the message stays until all are there."""
    flags = _socket.MSG_PEEK | _socket.MSG_CMSG_CLOEXEC
    ancillary = receiver.recvmsg(1, _socket.CMSG_SPACE(count * INT), flags)[1]
    numbers = b"".join(data for _, _, data in ancillary)
    fds = [int.from_bytes(numbers[at : at + INT], sys.byteorder) for at in range(0, len(numbers), INT)]
    if len(fds) < count:
        for fd in fds:
            os.close(fd)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return fds
