"""Where connections come in: accepted while there is room for them, and tried again later when the system has no descriptor left."""

from __future__ import annotations

from initfs import loop, say
from initfs.local import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

PAUSE = 1.0  # seconds


class Door:
    """Calls ENTERED(fd, path of the client) with each connection, close-on-exec and blocking, as long as ROOM() is true. Its owner waits
    until `retry`, calls `tick`, and calls `update` when the answer of ROOM may have changed.
    """

    __slots__ = ("_entered", "_listener", "_loop", "_open", "_room", "retry")

    def __init__(
        self,
        around: loop.Loop,
        listener: socket,
        room: Callable[[], bool],
        entered: Callable[[int, str], None],
    ) -> None:
        listener.setblocking(False)
        self.retry = loop.NEVER
        self._loop, self._listener, self._room, self._entered = around, listener, room, entered
        self._open = False

    def update(self) -> None:
        """Watch the listener, or do not."""
        wanted = self.retry == loop.NEVER and self._room()
        if wanted and not self._open:
            self._loop.watch(self._listener.fileno(), self._knocked)
        elif not wanted and self._open:
            self._loop.forget(self._listener.fileno())
        self._open = wanted

    def tick(self, now: float) -> None:
        """Try again if it is time."""
        if now >= self.retry:
            self.retry = loop.NEVER
            self.update()

    def _knocked(self) -> None:
        """One connection a turn: a crowd at the door must not keep us from those inside, and asking for a second one costs as much
        as the next turn when there is none.
        """
        try:
            fd, path = sockets.accept(self._listener)
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            say.warning(f"unable to accept a connection: {say.reason(error)}")
            self.retry = loop.now() + PAUSE
            self.update()
            return
        self._entered(fd, path)
        self.update()
