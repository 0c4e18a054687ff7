"""notify-socket-from-fd: run a daemon that writes a newline when ready under a supervisor that reads NOTIFY_SOCKET.

Source: `spec/notification.md` 4.6 and sd_notify(3). For a systemd unit: Type=notify, NotifyAccess=all (exec is enough
with -f, which announces from a direct child).
"""

from __future__ import annotations

import os
from sys import byteorder

from initfs import say
from initfs.loop import NEVER, now
from initfs.notify import readiness
from initfs.notify.arguments import until
from initfs.notify.child import become
from initfs.options import number, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
else:
    import _socket

USAGE = "notify-socket-from-fd [-d fd] [-f] [-t ms] [-k] prog..."


def main(argv: list[str]) -> int:
    options, program = parse(argv[1:], "d:ft:k", USAGE)
    given = dict(options)
    if not program:
        raise say.usage(USAGE)
    fd = number(given.get("d", "1"), USAGE)
    deadline = until(given["t"], USAGE) if "t" in given else NEVER
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return become(program, USAGE)
    address = parse_address(name)
    readiness.pipe(
        fd,
        lambda reader, pid, daemon: relay(reader, pid, daemon, address, deadline),
        direct="f" in given,
    )
    if "k" not in given:
        del os.environ["NOTIFY_SOCKET"]
    return become(program, USAGE)


def parse_address(name: str) -> bytes:
    """The socket address that NOTIFY_SOCKET names: a path, or `@` and an abstract name. say.Fatal 100 for another."""
    if name[0] not in "/@":
        raise say.Fatal(say.USAGE, f"NOTIFY_SOCKET is neither a path nor an abstract name: {name}")
    address = os.fsencode(name)
    return b"\0" + address[1:] if address[:1] == b"@" else address


def relay(reader: int, pid: int, daemon: int, address: bytes, deadline: float) -> int:
    """Wait for a newline and announce PID: 0 announced and taken in, 1 no newline came, 99 timed out."""
    code = readiness.wait(reader, readiness.newline(reader), daemon, deadline)
    os.close(reader)
    if code != say.OK:
        return code
    try:
        return announce(pid, address, deadline)
    except TimeoutError:
        return say.TIMED_OUT


def announce(pid: int, address: bytes, deadline: float) -> int:
    """Send READY=1 and wait until the supervisor has read it: it closes the descriptor that goes with BARRIER=1."""
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    if deadline != NEVER:
        sender.settimeout(max(0.001, deadline - now()))  # its queue may be full
    sender.sendto(b"READY=1\nMAINPID=%d" % pid, address)
    waiting, sent = os.pipe()
    rights = sent.to_bytes(4, byteorder, signed=True)
    sender.sendmsg([b"BARRIER=1"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)], 0, address)
    os.close(sent)
    return readiness.closed(waiting, deadline)
