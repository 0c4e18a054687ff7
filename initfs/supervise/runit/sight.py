"""One service as sv sees it: its status, a wake-up when that changes, its ./check.

A supervisor replaces `supervise/status` by rename, and the kernel announces that (F_NOTIFY of fcntl(2)): for ours, and for
a real runsv as well, which has no other way to tell. On a kernel that does not announce, the file is read again every 420 ms
as runit's own sv does. That the supervisor is gone is the hang-up of its control FIFO. Only ./check is asked time and again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from initfs import files, process, say, signals
from initfs.loop import NEVER, Loop, now
from initfs.supervise import status
from initfs.supervise.runit import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from initfs.supervise.status import Status

AGAIN = 0.42  # seconds until something that announces nothing is looked at again


class Trouble(Exception):
    """What is wrong with a service, in the words of sv; RUNNING: its supervisor might be, it can't be told."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Gone(Exception):
    """Nobody supervises it."""


class Sight:
    """A service directory. Raises Trouble when there is none."""

    def __init__(self, name: str, directory: str) -> None:
        self.name, self.directory = name, directory
        try:
            os.stat(f"{directory}/.")
        except OSError as error:
            text = f"unable to change to service directory: {say.reason(error)}"
            raise Trouble("fail", text) from error

    def status(self) -> Status:
        """Its status now. Raises Gone, or Trouble."""
        self.reach("ok", b"")
        try:
            data = files.read(f"{self.directory}/supervise/status")
            return status.decode(data) if data else self.unborn()
        except OSError as error:
            raise Trouble("warning", f"unable to read supervise/status: {say.reason(error)}") from error
        except ValueError as error:
            raise Trouble("warning", f"unable to read supervise/status: {error}") from error

    def unborn(self) -> Status:
        """The status while the supervisor, which listens already, has written none."""
        wanted = not os.path.exists(f"{self.directory}/down")
        return status.Status(status.DOWN, 0, wanted, False, False, False, False, 0, time.time_ns())

    def send(self, letters: str) -> None:
        if letters:
            self.reach("control", letters.encode())

    def reach(self, fifo: str, content: bytes) -> None:
        """Write to a FIFO of the supervisor. Raises Gone when nobody reads it, Trouble for anything else."""
        try:
            fd = os.open(f"{self.directory}/supervise/{fifo}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise Gone from error
            raise Trouble("warning", f"unable to open supervise/{fifo}: {say.reason(error)}") from error
        try:
            if content:
                os.write(fd, content)
        except OSError as error:
            raise Trouble("fail", f"unable to write to supervise/{fifo}: {say.reason(error)}") from error
        finally:
            os.close(fd)

    def words(self, name: str = "") -> str:
        """Its state in words. Raises as `status` does."""
        found = self.status()
        normally_up = not os.path.exists(f"{self.directory}/down")
        return commands.words(name or self.name, found, age(found), normally_up=normally_up)


def age(found: Status) -> int:
    """Seconds since the last change between up and down; by the clock that does not jump, where it was written down."""
    if found.since:
        return max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 - found.since) // 1_000_000
    return max(0, time.time_ns() - found.changed) // 1_000_000_000


def eye() -> Loop:
    """The loop that all Waiting share: signals have one way into a process."""
    loop = Loop()
    loop.on_signals(lambda _signum: None, signals.IO)  # before the kernel may send it: it would end us
    return loop


class Waiting:
    """Waits for one service to reach the goal of a command. Made before the command is sent."""

    def __init__(self, sight: Sight, loop: Loop) -> None:
        self._sight = sight
        self._fds: list[int] = []
        self._loop = loop
        self._announced = self._watch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for fd in self._fds:
            self._loop.forget(fd)
            os.close(fd)

    def reach(self, goal: str, before: Status, deadline: float) -> bool:
        """Whether GOAL is reached before DEADLINE. Raises Gone, unless that is the goal, or Trouble."""
        while True:
            try:
                seen = commands.done(goal, before, self._sight.status())
            except Gone:
                if commands.done(goal, before, None) == commands.DONE:
                    return True
                raise
            if seen == commands.DONE or (seen == commands.IF_CHECK and self._check(deadline)):
                return True
            if now() >= deadline:
                return False
            blind = seen == commands.IF_CHECK or not self._announced
            self._loop.turn(min(deadline, now() + AGAIN if blind else NEVER))

    def _watch(self) -> bool:
        """Have changes of the status, and the supervisor's end, wake us; False when that is not to be had."""
        supervise = f"{self._sight.directory}/supervise"
        try:
            control = os.open(f"{supervise}/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._fds.append(control)
            self._loop.watch(control, lambda: self._loop.forget(control), events=0)
            directory = os.open(supervise, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._fds.append(directory)
            fcntl.fcntl(directory, fcntl.F_NOTIFY, fcntl.DN_RENAME | fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
        except OSError:
            return False
        return True

    def _check(self, deadline: float) -> bool:
        """Run ./check, if there is one: is the service available? One that does not end in time is killed."""
        if not os.access(f"{self._sight.directory}/check", os.X_OK):
            return True
        directory = os.open(self._sight.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        here, null = (
            os.open(".", os.O_RDONLY | os.O_CLOEXEC),
            os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC),
        )
        try:
            pid = process.spawn(
                "./check", ["./check"], os.environ, descriptors=[(null, 1)], directory=directory
            )
        except OSError as error:
            say.warning(f"{self._sight.name}: unable to run ./check: {say.reason(error)}")
            return False
        finally:
            os.fchdir(here)
            for fd in (here, null, directory):
                os.close(fd)
        return self._end_of(pid, deadline) == 0

    def _end_of(self, pid: int, deadline: float) -> int:
        """The wait status of a child; it is killed when it lives at DEADLINE."""
        ended = os.pidfd_open(pid)
        found: list[int] = []
        self._loop.watch(ended, lambda: found.append(os.waitpid(pid, 0)[1]))
        while not found:
            self._loop.turn(deadline)
            if not found and now() >= deadline:
                process.kill(pid, signals.KILL)
                deadline = NEVER
        self._loop.forget(ended)
        os.close(ended)
        return found[0]
