"""A server of connections in one loop: each is handed to a child, and who has ended is counted out.

What a child is, is a function's business: START(fd, variables) gives the connection to a program or to a copy of this interpreter, and
returns its pid, or 0 when it has refused. Source: `spec/localservices.md` 5.2.
"""

from __future__ import annotations

import os

from initfs import loop, process, say, signals
from initfs.local import sockets
from initfs.local.admission import Admission
from initfs.local.door import Door
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    Variables = dict[bytes, bytes]

CAUGHT = (signals.CHLD, signals.TERM, signals.HUP, signals.QUIT, signals.ABRT)
PREFIX = "IPC"
_NAMES = [f"{PREFIX}{name}".encode() for name in ("CONNNUM", "REMOTEPATH", "REMOTEEUID", "REMOTEEGID")]
CONNNUM, REMOTEPATH, REMOTEEUID, REMOTEEGID = _NAMES


@value
class Limits:
    """Connections at a time, in all and of each user; CREDENTIALS: ask who connects, and refuse whom the kernel does not know."""

    most: int = 40
    each: int = 40
    credentials: bool = True


class Server:
    """Serves LISTENER. VERBOSE: 0 errors, 1 warnings, 2 every connection."""

    def __init__(
        self,
        around: loop.Loop,
        listener: socket,
        start: Callable[[int, Variables], int],
        limits: Limits,
        verbose: int = 1,
    ) -> None:
        self._loop, self._start, self._limits, self._verbose = around, start, limits, verbose
        self._admission = Admission(limits.most, limits.each)
        self._children: dict[int, int | None] = {}  # pid to uid
        self._leaving = False
        self._door = Door(around, listener, self._room, self._entered)

    def run(self) -> int:
        """Serve until TERM, QUIT or ABRT."""
        self._loop.on_signals(self._signalled, *CAUGHT)
        self._door.update()
        while not self._leaving:
            self._loop.turn(self._door.retry)
            if self._door.retry != loop.NEVER:
                self._door.tick(loop.now())
        return say.OK

    def _room(self) -> bool:
        return self._admission.room() and not self._leaving

    def _entered(self, fd: int, path: str) -> None:
        connection = sockets.of(fd)
        try:
            self._serve(connection, path)
        except Exception as error:  # noqa: BLE001 # one client's trouble is not the others'
            say.warning(f"bug: {say.describe(error)}; going on")
        finally:
            connection.close()

    def _serve(self, connection: socket, path: str) -> None:
        peer = None
        if self._limits.credentials:
            try:
                peer = sockets.peer(connection)
            except OSError as error:
                say.warning(f"unable to know who connects: {say.reason(error)}")
                return
        uid = None if peer is None else peer.uid
        number = self._admission.enter(uid)
        if not number:
            self._tell(1, f"refused uid {uid}: {self._limits.each} connections")
            return
        variables = {b"PROTO": PREFIX.encode(), CONNNUM: b"%d" % number, REMOTEPATH: os.fsencode(path)}
        if peer is not None:
            variables[REMOTEEUID] = b"%d" % peer.uid
            variables[REMOTEEGID] = b"%d" % peer.gid
        try:
            pid = self._start(connection.fileno(), variables)
        except OSError as error:
            self._admission.leave(uid)
            say.warning(f"unable to start a child: {say.reason(error)}")
            return
        if not pid:
            self._admission.leave(uid)
            return
        self._children[pid] = uid
        if self._verbose >= 2:
            who = "" if peer is None else f" uid {peer.uid} gid {peer.gid} count {number}/{self._limits.each}"
            say.info(f"allow pid {pid}{who} total {self._admission.count}/{self._limits.most}")

    def _signalled(self, signum: int) -> None:
        if signum == signals.CHLD:
            for pid, status in process.reap():
                self._died(pid, status)
        if signum in (signals.HUP, signals.QUIT):
            self._signal(signals.TERM, signals.CONT)
        if signum == signals.ABRT:
            self._signal(signals.KILL)
        if signum in (signals.TERM, signals.QUIT, signals.ABRT):
            self._leaving = True

    def _died(self, pid: int, status: int) -> None:
        if pid not in self._children:
            return
        left = self._admission.leave(self._children.pop(pid))
        if self._verbose >= 2:
            code = os.waitstatus_to_exitcode(status)
            how = f"exitcode {code}" if code >= 0 else f"signal {-code}"
            say.info(f"end pid {pid} {how} count {left} total {self._admission.count}/{self._limits.most}")
        self._door.update()

    def _signal(self, *signums: int) -> None:
        for pid in self._children:
            for signum in signums:
                process.kill(pid, signum)

    def _tell(self, level: int, text: str) -> None:
        if self._verbose >= level:
            say.info(text)
