"""A server that runs its clients' orders from its own warm interpreter: one loop, one child for each order, no process between.

    Server(around, listener, admit, start, manner).run()

ADMIT(peer) says who may order at all. START(order) starts a child and returns its pid: `process.spawn` for a program, `warm.fork`
for a function of ours. The service manager's runner of oneshots is one; its clients are `sudoc`, ours or s6's.
"""

from __future__ import annotations

import os

from initfs import loop, process, say, signals
from initfs.local import sockets, starting
from initfs.local.door import Door
from initfs.local.sudo.session import Manner, Session
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from initfs.local.sockets import Peer
    from initfs.local.sudo.protocol import Order


class Server:
    """Serves the non-blocking LISTENER; MANNER's deadline is in seconds from each connection on. At most MOST clients at a time."""

    def __init__(
        self,
        around: loop.Loop,
        listener: socket,
        admit: Callable[[Peer], bool],
        start: Callable[[Order], int],
        manner: Manner,
        most: int = 40,
    ) -> None:
        self.leaving = False
        self._loop, self._admit, self._start = around, admit, start
        self._manner, self._most = manner, most
        self._sessions: set[Session] = set()
        self._nearest = (
            loop.NEVER
        )  # no session's deadline comes before this; it may be that of one that has gone
        self._door = Door(around, listener, self._room, self._entered)
        self._door.update()

    def run(self) -> int:
        """Serve until `leaving`; TERM sets that, and what runs goes on."""
        self._loop.on_signals(self.signalled, signals.CHLD, signals.TERM)
        while not self.leaving:
            self.turn()
        return say.OK

    def turn(self, deadline: float = loop.NEVER) -> None:
        """Serve once what is ready, or wait until DEADLINE: for those with a loop of their own."""
        self._loop.turn(min(deadline, self._door.retry, self._nearest))
        now = loop.now()
        if now >= self._nearest:
            self._expire(now)
        self._door.tick(now)

    def _expire(self, now: float) -> None:
        """Only once in a while: a look at a thousand sessions in each turn would cost more than their orders."""
        for session in [one for one in self._sessions if one.deadline <= now]:
            session.expired()
        self._nearest = min((session.deadline for session in self._sessions), default=loop.NEVER)

    def signalled(self, signum: int) -> None:
        """What to do with CHLD and TERM, for those with signals of their own."""
        if signum == signals.CHLD:
            for pid, status in process.reap():
                self.died(pid, status)
        elif signum == signals.TERM:
            self.leaving = True

    def died(self, pid: int, status: int) -> None:
        """A child has been reaped."""
        for session in [one for one in self._sessions if one.pid == pid]:
            session.died(status)

    def _room(self) -> bool:
        return len(self._sessions) < self._most and not self.leaving

    def _entered(self, fd: int, _: str) -> None:
        connection = sockets.of(fd)
        if not self._admitted(connection):
            connection.close()
            return
        manner = replace(self._manner, deadline=loop.now() + self._manner.deadline)
        self._nearest = min(self._nearest, manner.deadline)
        self._sessions.add(Session(self._loop, connection, connection, self._start, self._over, manner))

    def _admitted(self, connection: socket) -> bool:
        try:
            return self._admit(sockets.peer(connection))
        except OSError as error:
            say.warning(f"unable to know a client: {say.reason(error)}")
            return False

    def _over(self, session: Session) -> None:
        self._sessions.discard(session)
        self._door.update()


def spawn(argv: list[bytes], environment: dict[bytes, bytes], descriptors: tuple[int, ...]) -> int:
    """Start a program, found through PATH, with these as its descriptors 0, 1 and 2. OSError: ENOENT when there is none."""
    path = environment.get(b"PATH")
    pairs = [(fd, number) for number, fd in enumerate(descriptors)]
    return starting.spawn(
        [os.fsdecode(word) for word in argv], environment, pairs, None if path is None else os.fsdecode(path)
    )
