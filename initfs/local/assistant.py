"""Copies of a server that start programs as well, while a crowd is at the door.

posix_spawn(3) is vfork(2): its caller sleeps until the child has been given a processor and has executed its program. Where other
processes want the processors too, as the programs of the connections before, that is most of the time that a connection takes, and
other connections wait for it. Several processes that start programs wait side by side. The server alone decides who gets in and
counts; its assistants have nothing but jobs.
"""

from __future__ import annotations

import errno
import os

from initfs import loop, process, say, signals
from initfs.local import jobs, sockets, warm
from initfs.local.wire import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from socket import socket
    from typing import Protocol

    Start = Callable[[int, dict[bytes, bytes]], int]

    class Master(Protocol):
        """Who is told what became of the jobs; a wait status of None: nobody knows."""

        def began(self, number: int, pid: int) -> None: ...
        def ended(self, number: int, status: int | None) -> None: ...
        def failed(self, number: int, reason: int) -> None: ...


MOST = 3  # assistants
WAITING = 3  # jobs that one may have before it: beyond that another one is faster


class Assistant:
    """Made when there is a crowd, and dismissed when none has been there for long and nothing of its own runs."""

    def __init__(self, around: loop.Loop, start: Start, ours: set[int]) -> None:
        """START(fd, variables) starts the program for a connection in the copy, which closes OURS: the listener, and the connections to
        all assistants, which add theirs.
        """
        self._loop, self._start, self._ours = around, start, ours
        self._crowd = jobs.Crowd()
        self._end: socket | None = None
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self.master: Master

    def take(self, number: int, fd: int, variables: Mapping[bytes, bytes]) -> bool:
        """Whether it takes the job NUMBER, to start the program for connection FD, which the caller closes. It does not when there is no
        crowd, or enough waits for it.
        """
        crowded = self._crowd.came(loop.now())
        if self._end is None and not (crowded and self._hire(fd)):
            return False
        if len(self._waiting) >= WAITING or not self._ask(jobs.job(number, variables), (fd,)):
            return False
        self._waiting.add(number)
        return True

    def hired(self) -> bool:
        """Whether it is there."""
        return self._end is not None

    def signal(self, *signums: int) -> None:
        """Send these to all programs that it has started."""
        if self._end is not None:
            self._ask(jobs.signal(signums))

    def until(self) -> float:
        """When to `tick`."""
        return loop.NEVER if self._end is None or self._waiting or self._running else self._crowd.over()

    def tick(self, now: float) -> None:
        """Dismiss it when it is not needed any more: it ends when its connection does."""
        if now >= self.until():
            self._dismiss()

    def _hire(self, fd: int) -> bool:
        mine, its = sockets.pair()
        try:
            closing = (fd, mine.fileno(), *self._ours)
            warm.fork(lambda: Copy(its, self._start).run(), self._loop, closing=closing)
        except OSError as error:
            say.warning(f"unable to have an assistant: {say.reason(error)}")
            self._crowd = jobs.Crowd()
            mine.close()
            return False
        finally:
            its.close()
        mine.setblocking(False)
        self._end = mine
        self._ours.add(mine.fileno())
        self._loop.watch(mine.fileno(), self._told)
        return True

    def _ask(self, data: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Whether it could be asked: neither dead, nor so slow that there is no room for a request."""
        assert self._end is not None
        try:
            return sockets.send(self._end, data, descriptors) == len(data)
        except OSError:
            return False

    def _told(self) -> None:
        assert self._end is not None
        try:
            report = self._end.recv(sockets.CHUNK)
        except BlockingIOError:
            return
        except OSError:
            report = b""
        if not report:
            self._died()
        for letter, number, detail in jobs.records(report):
            self._waiting.discard(number)
            if letter == jobs.BEGAN:
                self._running.add(number)
                self.master.began(number, detail)
            elif letter == jobs.ENDED:
                self._running.discard(number)
                self.master.ended(number, detail)
            else:
                self.master.failed(number, detail)

    def _died(self) -> None:
        """Somebody has killed it. Its programs go on, and nobody will know when they end."""
        say.warning(f"an assistant has died: {len(self._running)} programs are not counted any more")
        waiting, running = self._waiting, self._running
        self._dismiss()
        for number in waiting:
            self.master.failed(number, errno.ECHILD)
        for number in running:
            self.master.ended(number, None)

    def _dismiss(self) -> None:
        assert self._end is not None
        self._loop.forget(self._end.fileno())
        self._ours.discard(self._end.fileno())
        self._end.close()
        self._end, self._waiting, self._running = None, set(), set()
        self._crowd = jobs.Crowd()


class Copy:
    """The assistant's own life: programs are its children, so it is told of their ends."""

    def __init__(self, end: socket, start: Start) -> None:
        self._end, self._start = end, start
        self._loop = loop.Loop()
        self._programs: dict[int, int] = {}  # pid to job
        self._report: list[bytes] = []
        self._leaving = False

    def run(self) -> int:
        """Serve until the server has gone or wants it no more."""
        self._loop.on_signals(self._reap, signals.CHLD)
        self._loop.watch(self._end.fileno(), self._asked)
        while not self._leaving:
            self._loop.turn()
            self._tell()
        return say.OK

    def _asked(self) -> None:
        """All that is asked for now: the server is told of it at once, which wakes it once."""
        while not self._leaving and (came := self._received()) is not None:
            data, descriptors = came
            if not data:
                self._leaving = True
                return
            asked = jobs.request(data)
            if isinstance(asked, jobs.Job):
                self._begin(asked, descriptors[0])
            else:
                self._signal(asked)

    def _received(self) -> tuple[bytes, list[int]] | None:
        try:
            return self._next()
        except (OSError, Malformed) as error:  # no descriptor left for the connection
            say.warning(f"assistant: {say.reason(error) if isinstance(error, OSError) else error}")
            return b"", []

    def _next(self) -> tuple[bytes, list[int]] | None:
        try:
            return sockets.receive(self._end, sockets.CHUNK, sockets.NOW)
        except (
            ConnectionError
        ):  # the server has gone without reading everything: that is said once, before the jobs that wait
            return sockets.receive(self._end, sockets.CHUNK, sockets.NOW)

    def _signal(self, signums: bytes) -> None:
        for pid in self._programs:
            for signum in signums:
                process.kill(pid, signum)

    def _begin(self, asked: jobs.Job, fd: int) -> None:
        try:
            pid = self._start(fd, asked.variables)
        except OSError as error:
            self._report.append(jobs.record(jobs.FAILED, asked.number, error.errno or errno.EIO))
        else:
            self._programs[pid] = asked.number
            self._report.append(jobs.record(jobs.BEGAN, asked.number, pid))
        finally:
            os.close(fd)

    def _reap(self, _: int) -> None:
        for pid, status in process.reap():
            number = self._programs.pop(pid, None)
            if number is not None:
                self._report.append(jobs.record(jobs.ENDED, number, status))

    def _tell(self) -> None:
        """Everything of one turn in a message or a few."""
        while self._report and not self._leaving:
            part, self._report = b"".join(self._report[: jobs.AT_ONCE]), self._report[jobs.AT_ONCE :]
            try:
                sockets.send(self._end, part)
            except OSError:  # the server has gone
                self._leaving = True
