"""Reading ends of log pipes, handed to the one logger that works for many services. Only a tree that has such services imports this.

The logger connects to the socket `.svscan/logs` and is sent a datagram for each service: its name, a NUL, and its script, with the descriptor
of the pipe's reading end beside it (SCM_RIGHTS, unix(7)). The tree keeps both ends as well, so a killed logger loses nothing; its successor
connects and is sent the same. The end of a service is the end of its pipe; the end of the tree is the end of the connection.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import sys

from initfs import files, say
from initfs.loop import HUNG_UP, READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.loop import Loop

NAME = "logs"
LEFT_MAX = 64  # services that are gone while there is no logger


class Sharing:
    """The pipes, and whoever logs what comes through them."""

    def __init__(self, loop: Loop, private: int) -> None:
        """Listen in the directory PRIVATE; that it cannot be done is said, and then nobody logs."""
        self._loop = loop
        self._pipes: dict[str, tuple[bytes, int]] = {}
        self._waiting: list[str] = []
        self._left: list[tuple[str, bytes, int]] = []
        self._logger: _socket.socket | None = None
        self._ending = False
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        self._listener = _socket.socket(_socket.AF_UNIX, kind)
        try:
            os.fchdir(private)  # a socket's path is short, unix(7)
            files.remove(NAME)
            self._listener.bind(NAME)
            os.chmod(NAME, 0o600)
            self._listener.listen(1)
        except OSError as error:
            say.warning(f"unable to serve the shared logger: {say.reason(error)}")
            return
        loop.watch(self._listener.fileno(), self._accept)

    def add(self, name: str, script: bytes, reading: int) -> None:
        """Have a service logged, or logged in another way."""
        self._pipes[name] = (script, reading)
        if self._logger is not None:
            self._waiting.append(name)
            self._send()

    def remove(self, name: str) -> None:
        """The service is gone, and its pipe is about to be closed here. What no logger has taken yet waits for one, to be read to its end."""
        script, reading = self._pipes.pop(name, (b"", -1))
        if reading >= 0 and (self._logger is None or name in self._waiting) and len(self._left) < LEFT_MAX:
            try:
                self._left.append((name, script, fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 3)))
            except OSError as error:
                say.warning(f"{name}: unable to keep what is left to be logged: {say.reason(error)}")

    def end(self) -> None:
        """The tree ends: a logger that has all pipes reads what is left in them, and ends too. One that is about to come gets them first."""
        self._ending = True
        self._let_end()

    def _let_end(self) -> None:
        if self._logger is None or self._waiting or self._left:
            return
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        self._drop()

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            return
        self._drop()  # the former one is dead, or else has now a successor
        self._logger = _socket.socket(fileno=fd)
        self._logger.setblocking(False)
        self._waiting = list(self._pipes)
        self._loop.watch(fd, self._served, READ | HUNG_UP)
        self._send()

    def _served(self) -> None:
        """It has taken some and says so by a byte, or it is gone."""
        assert self._logger is not None
        try:
            data = self._logger.recv(64)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._send()
        else:
            self._drop()

    def _send(self) -> None:
        """Send what fits now; the logger's byte for each tells when there is room again."""
        while self._left and self._logger is not None:
            if not self._hand_over(*self._left[0]):
                return
            os.close(self._left.pop(0)[2])
        while self._waiting and self._logger is not None:
            name = self._waiting[0]
            script, reading = self._pipes.get(name, (b"", -1))
            if reading >= 0 and not self._hand_over(name, script, reading):
                return
            self._waiting.pop(0)
        if self._ending:
            self._let_end()

    def _hand_over(self, name: str, script: bytes, reading: int) -> bool:
        """Send one; False when it could not be sent now."""
        assert self._logger is not None
        rights = reading.to_bytes(4, sys.byteorder)
        message = os.fsencode(name) + b"\0" + script
        try:
            self._logger.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        except BlockingIOError:
            return False
        except OSError as error:
            say.warning(f"unable to hand the log of {name} over: {say.reason(error)}")
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        if self._logger is not None:
            self._loop.forget(self._logger.fileno())
            self._logger.close()
            self._logger = None
