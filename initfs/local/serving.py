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
    from collections.abc import Callable, Sequence
    from socket import socket

    from initfs.local.assistant import Assistant

    Child = tuple[int, int | None, str]  # pid, uid, what is said of the client
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
        assistants: Sequence[Assistant] = (),
    ) -> None:
        """START returns the pid of a child, or 0 when it has refused; the ASSISTANTS do the same elsewhere."""
        self._assistants, self._jobs = assistants, 0
        for each in assistants:
            each.master = self
        self._loop, self._start, self._limits, self._verbose = around, start, limits, verbose
        self._admission = Admission(limits.most, limits.each)
        # By pid; what an assistant has been asked for by the negative number of the job.
        self._children: dict[int, Child] = {}
        self._leaving = False
        self._door = Door(around, listener, self._room, self._entered)

    def run(self) -> int:
        """Serve until TERM, QUIT or ABRT."""
        self._loop.on_signals(self._signalled, *CAUGHT)
        self._door.update()
        while not self._leaving:
            until = min(self._door.retry, *(each.until() for each in self._assistants), loop.NEVER)
            self._loop.turn(until)
            if until != loop.NEVER:
                self._tick(loop.now())
        return say.OK

    def _tick(self, now: float) -> None:
        self._door.tick(now)
        for each in self._assistants:
            each.tick(now)

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
        who = ""
        if self._verbose >= 2 and peer is not None:
            who = f" uid {peer.uid} gid {peer.gid} count {number}/{self._limits.each}"
        self._begin(connection.fileno(), variables, uid, who)

    def _begin(self, fd: int, variables: Variables, uid: int | None, who: str) -> None:
        """Have a child serve the connection FD, ours or an assistant's."""
        self._jobs += 1
        if self._taken(fd, variables):
            self._children[-self._jobs] = (0, uid, who)
            return
        try:
            pid = self._start(fd, variables)
        except OSError as error:
            self._admission.leave(uid)
            self._not_started(error)
            return
        if not pid:
            self._admission.leave(uid)
            return
        self._began(pid, pid, uid, who)

    def _taken(self, fd: int, variables: Variables) -> bool:
        """Whether an assistant takes it. Another one is for a crowd that is too much for those that are there."""
        for each in self._assistants:
            if each.take(self._jobs, fd, variables):
                return True
            if not each.hired():
                break
        return False

    def _began(self, key: int, pid: int, uid: int | None, who: str) -> None:
        self._children[key] = (pid, uid, who)
        if self._verbose >= 2:
            say.info(f"allow pid {pid}{who} total {self._admission.count}/{self._limits.most}")

    def began(self, number: int, pid: int) -> None:
        """An assistant has started the program of a job."""
        _, uid, who = self._children[-number]
        self._began(-number, pid, uid, who)

    def failed(self, number: int, reason: int) -> None:
        """It could not start it."""
        _, uid, _ = self._children.pop(-number)
        self._admission.leave(uid)
        self._not_started(OSError(reason, os.strerror(reason)))
        self._door.update()

    def ended(self, number: int, status: int | None) -> None:
        """What it has started has ended with this wait status; None: or is not known any more."""
        self._died(-number, status)

    def _not_started(self, error: OSError) -> None:
        say.warning(f"unable to start a child: {say.reason(error)}")

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

    def _died(self, key: int, status: int | None) -> None:
        if key not in self._children:
            return
        pid, uid, _ = self._children.pop(key)
        left = self._admission.leave(uid)
        if self._verbose >= 2:
            say.info(
                f"end pid {pid} {_how(status)} count {left} total {self._admission.count}/{self._limits.most}"
            )
        self._door.update()

    def _signal(self, *signums: int) -> None:
        for pid in self._children:
            for signum in signums if pid > 0 else ():
                process.kill(pid, signum)
        for each in self._assistants:
            each.signal(*signums)

    def _tell(self, level: int, text: str) -> None:
        if self._verbose >= level:
            say.info(text)


def _how(status: int | None) -> str:
    if status is None:
        return "exitcode unknown"
    code = os.waitstatus_to_exitcode(status)
    return f"exitcode {code}" if code >= 0 else f"signal {-code}"
