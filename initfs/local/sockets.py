"""Unix stream sockets: bind, listen, connect, accept, who is there, and descriptors that travel. The only door to them here.

`socket` of the standard library costs a program `selectors`, `enum` and a megabyte; `_socket` below it is all that is needed.
"""

from __future__ import annotations

import os
import select
import sys

from initfs import files, loop, say
from initfs.local.wire import AT_ONCE, Malformed, Message, Reassembly, frame
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
    from collections.abc import Sequence
    from socket import socket
else:
    import _socket

STREAM, DATAGRAM = _socket.SOCK_STREAM, _socket.SOCK_DGRAM
MAXIMUM_BACKLOG = _socket.SOMAXCONN
NOW = _socket.MSG_DONTWAIT
ROOM = _socket.CMSG_SPACE(AT_ONCE * 4)
CHUNK, MOST = 4096, 1 << 20


@value
class Peer:
    """Who is at the other end, as the kernel knew it at connect(2): SO_PEERCRED, unix(7)."""

    pid: int
    uid: int
    gid: int


def of(fd: int, kind: int = STREAM) -> socket:
    """A socket object for the descriptor FD; closing it closes FD, `detach` lets go."""
    return _socket.socket(_socket.AF_UNIX, kind, 0, fd)


def new(kind: int = STREAM, *, blocking: bool = True) -> socket:
    """A new socket, close-on-exec."""
    flags = _socket.SOCK_CLOEXEC | (0 if blocking else _socket.SOCK_NONBLOCK)
    return _socket.socket(_socket.AF_UNIX, kind | flags)


def pair() -> tuple[socket, socket]:
    """Two ends of a connection that keeps messages apart, close-on-exec."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def address(path: str) -> str | bytes:
    """What bind(2) and connect(2) take. Fatal 100 for a path that no sockaddr_un can hold: 107 bytes and no NUL."""
    encoded = os.fsencode(path)
    if not encoded or len(encoded) > 107 or b"\0" in encoded:
        raise say.Fatal(say.USAGE, f"not a socket's path: {path!r}")
    return encoded


def bind(
    path: str, kind: int = STREAM, *, mode: int = 0o777, replace: bool = True, blocking: bool = True
) -> socket:
    """A socket bound to PATH with the access rights MODE from the first moment; REPLACE unlinks what is there first."""
    where = address(path)
    if replace:
        files.remove(path)
    bound = new(kind, blocking=blocking)
    mask = os.umask(~mode & 0o777)  # bind(2) gives 0777 less the umask
    try:
        bound.bind(where)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(mask)
    return bound


def connect(path: str, deadline: float = loop.NEVER) -> socket:
    """A connection to the server at PATH. OSError; TimeoutError when its backlog stays full until DEADLINE."""
    where = address(path)
    made = new()
    try:
        if deadline != loop.NEVER:
            made.settimeout(max(0.001, deadline - loop.now()))
        made.connect(where)
        made.settimeout(None)
    except OSError:
        made.close()
        raise
    return made


def accept(listener: socket) -> tuple[int, str]:
    """The descriptor of the next connection, close-on-exec and blocking, and the path that its client is bound to, "" for none.

    BlockingIOError when there is no connection.
    """
    fd, name = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
    return fd, name if isinstance(name, str) else ""  # an abstract name, bytes, is no path


def listening(fd: int) -> bool:
    """Whether FD is a stream socket of this machine that listens."""
    try:
        one = of(os.dup(fd))
    except OSError:
        return False
    try:
        return bool(
            one.getsockopt(_socket.SOL_SOCKET, _socket.SO_DOMAIN) == _socket.AF_UNIX
            and one.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE) == STREAM
            and one.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
        )
    except OSError:
        return False
    finally:
        one.close()


def peer(connection: socket) -> Peer:
    """Who connected. OSError for what is no connected Unix socket."""
    raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return Peer(*memoryview(raw).cast("I").tolist())


def own_path(fd: int) -> str:
    """The address that the socket FD is bound to, "" when it has none or FD is no socket."""
    try:
        one = of(os.dup(fd))
    except OSError:
        return ""
    try:
        return path_of(one.getsockname())
    finally:
        one.close()


def path_of(name: object) -> str:
    """A Unix address as text; an abstract one begins with @, an unnamed one is empty."""
    text = os.fsdecode(name) if isinstance(name, bytes | str) else ""
    return "@" + text[1:] if text.startswith("\0") else text


def receive(connection: socket, size: int, flags: int = 0) -> tuple[bytes, list[int]] | None:
    """Some bytes and descriptors, close-on-exec; b"" at the end, None when nothing is there now.

    Malformed when the kernel had to drop descriptors, as we may hold no more; those that came are closed.
    """
    try:
        data, ancillary, told, _ = connection.recvmsg(size, ROOM, _socket.MSG_CMSG_CLOEXEC | flags)
    except BlockingIOError:
        return None
    found: list[int] = []
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += memoryview(content[: len(content) & ~3]).cast("i").tolist()
    if told & _socket.MSG_CTRUNC:
        for fd in found:
            os.close(fd)
        raise Malformed("more descriptors than can be taken")
    return data, found


def send(connection: socket, data: bytes, descriptors: Sequence[int] = ()) -> int:
    """Send what fits of DATA, the descriptors with its first byte; how much that was. BlockingIOError for nothing."""
    if not descriptors:
        return connection.send(data, _socket.MSG_NOSIGNAL)
    numbers = b"".join(fd.to_bytes(4, sys.byteorder) for fd in descriptors)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)]
    return connection.sendmsg([data], rights, _socket.MSG_NOSIGNAL)


class Channel:
    """The client's end of a conversation in messages: it waits, but not beyond a deadline (monotonic seconds)."""

    def __init__(self, connection: socket, deadline: float = loop.NEVER) -> None:
        self._connection, self._deadline = connection, deadline
        self._reassembly = Reassembly(MOST * 16)
        self._messages: list[Message] = []
        connection.setblocking(deadline == loop.NEVER)  # one system call for an answer instead of three

    def send(self, body: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send one message. OSError; TimeoutError at the deadline."""
        data = frame(body, len(descriptors))
        while data:
            try:
                sent = send(self._connection, data, descriptors)
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            data, descriptors = data[sent:], ()

    def receive(self) -> Message:
        """The next message. ConnectionResetError when the other end went, TimeoutError, Malformed."""
        while not self._messages:
            came = receive(self._connection, min(MOST, max(CHUNK, self._reassembly.missing())))
            if came is None:
                self._wait(select.POLLIN)
                continue
            if not came[0]:
                raise ConnectionResetError(104, os.strerror(104))
            self._messages = self._reassembly.feed(*came)
        return self._messages.pop(0)

    def close(self) -> None:
        """Close the connection, and whatever came that nobody took."""
        for fd in (*self._reassembly.abandon(), *(fd for one in self._messages for fd in one.descriptors)):
            os.close(fd)
        self._connection.close()

    def _wait(self, event: int) -> None:
        wait(self._connection.fileno(), event, self._deadline)


def wait(fd: int, event: int, deadline: float) -> None:
    """Wait until FD is ready for EVENT. TimeoutError at the DEADLINE."""
    poll = select.poll()
    poll.register(fd, event)
    timeout = None if deadline == loop.NEVER else max(0.0, deadline - loop.now()) * 1000
    if not poll.poll(timeout):
        raise TimeoutError(110, os.strerror(110))
