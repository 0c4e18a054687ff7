"""What a service keeps across its own restarts: a pair of sockets that the tree holds open, as it holds a log pipe.

The file `keep-fd` has a number N: `run` gets one end of a pair of datagram sockets as N and the other as N + 1. What it sends into N + 1,
descriptors too (SCM_RIGHTS, unix(7)), waits in the kernel until a later life of it reads N. The tree makes the pair, hands it over and
holds it, and never reads or writes: what is in there, and how much, is between the service and the kernel's limits.
"""

from __future__ import annotations

import os

from initfs import kernel, say
from initfs.supervise.model import NEVER
from initfs.supervise.starting import RETRY, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
else:
    import _socket


class Kept:
    """The pair of one service."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def descriptors(self, number: int) -> list[tuple[int, int]]:
        """The (ours, child's) pairs of a start. Refused when there cannot be any."""
        if number <= 2:
            raise Refused("keep-fd is a standard descriptor", NEVER)
        if self._ends is None:
            try:
                ends = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            except OSError as error:
                raise Refused(f"unable to make the sockets of keep-fd: {say.reason(error)}", RETRY) from error
            self._ends = (ends[0].detach(), ends[1].detach())
        return [(self._ends[0], number), (self._ends[1], number + 1)]

    def take(self, pidfd: int, number: int) -> None:
        """Have the pair of a process that runs already, as it was started by the tree before us: pidfd_getfd(2), Linux 5.6."""
        ends: list[int] = []
        try:
            for fd in (number, number + 1):
                ends.append(kernel.descriptor_of(pidfd, fd))
                _socket.socket(fileno=os.dup(ends[-1])).close()  # ENOTSOCK for anything else
        except OSError as error:
            say.warning(f"unable to hold what a service keeps: {say.reason(error)}")
            for fd in ends:
                os.close(fd)
            return
        self._ends = (ends[0], ends[1])

    def close(self) -> None:
        """Let go of the pair, and of what is in it."""
        for fd in self._ends or ():
            os.close(fd)
        self._ends = None
