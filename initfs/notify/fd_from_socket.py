"""notify-fd-from-socket: run a daemon that announces readiness to NOTIFY_SOCKET under a supervisor that reads a descriptor.

Source: `spec/notification.md` 4.6. The socket is abstract and named by the kernel (unix(7), autobind): no file to
clean. Whoever is in our network namespace can write to it, so this is for daemons on a machine without strangers.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.loop import NEVER
from initfs.notify import readiness
from initfs.notify.arguments import until
from initfs.notify.child import aside, become
from initfs.options import number, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
    from collections.abc import Callable
    from socket import socket
else:
    import _socket

USAGE = "notify-fd-from-socket [-3 fd] [-f] [-t ms] prog..."
LONG = {"notification-fd": "3", "no-doublefork": "f", "timeout": "t"}


def main(argv: list[str]) -> int:
    options, program = parse(argv[1:], "3:ft:", USAGE, LONG)
    given = dict(options)
    if not program:
        raise say.usage(USAGE)
    fd = number(given["3"], USAGE) if "3" in given else readiness.own_fd()
    if fd is None:
        raise say.Fatal(say.USAGE, "no -3 and no file notification-fd")
    deadline = until(given["t"], USAGE) if "t" in given else NEVER
    try:
        os.fstat(fd)
        receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        receiver.bind("")
        daemon = os.pidfd_open(os.getpid())
        aside(lambda: relay(receiver, fd, daemon, deadline), direct="f" in given)
    except OSError as error:
        raise say.unable(f"bridge to descriptor {fd}", error) from error
    os.environ["NOTIFY_SOCKET"] = "@" + receiver.getsockname()[1:].decode()
    receiver.close()
    os.close(daemon)
    os.close(fd)  # the bridge speaks for the daemon; when both are gone, the supervisor reads the end
    return become(program, USAGE)


def relay(receiver: socket, fd: int, daemon: int, deadline: float) -> int:
    """Wait for READY=1 and write a newline to FD: 0 written, 1 the daemon ended, 99 timed out."""
    code = readiness.wait(receiver.fileno(), ready(receiver), daemon, deadline)
    if code == say.OK:
        os.write(fd, b"\n")
    return code


def ready(receiver: socket) -> Callable[[], bool | None]:
    """A TOLD for readiness.wait: True with the first datagram that has the line READY=1.

    Descriptors that come along (BARRIER=1) are closed by the kernel, as we do not take them: that is the answer.
    """
    receiver.setblocking(False)

    def told() -> bool | None:
        for _ in range(readiness.AT_ONCE):
            try:
                datagram = receiver.recv(readiness.SIZE)
            except BlockingIOError:
                return None
            if b"READY=1" in datagram.split(b"\n"):
                return True
        return None

    return told
