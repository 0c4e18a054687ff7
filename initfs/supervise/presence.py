"""Waiting for supervisors to come and to go: their letters, and their control FIFOs, which hang up by whatever death."""

from __future__ import annotations

import errno
import os

from initfs import say
from initfs.loop import NEVER, Loop, now
from initfs.notify import fifodir
from initfs.supervise import waiters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

STUCK = 30.0  # seconds without any new supervisor: svscan has refused the services that are left


class Watch:
    """Waits until each of several services has said what it is to say."""

    def __init__(self) -> None:
        self._loop = Loop()
        self._subscriptions: list[fifodir.Subscription] = []
        self._held: list[int] = []
        self._pending: set[str] = set()
        self._lost = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        for fd in self._held:
            os.close(fd)
        self._loop.close()

    def for_letter(self, directory: str, letter: str) -> None:
        """Wait for LETTER of this service."""
        path = f"{directory}/event"
        try:
            subscription = fifodir.Subscription(path)
        except OSError as error:
            raise say.unable(f"listen to {path}", error) from error
        self._subscriptions.append(subscription)
        self._pending.add(directory)
        self._loop.watch(subscription.fd, lambda: self._hear(subscription, directory, letter))

    def for_end(self, directory: str) -> None:
        """Wait for the end of the supervision of DIRECTORY; it may have none to begin with."""
        try:
            supervisor = waiters.reach(directory)
        except say.Fatal as fatal:
            if fatal.code == say.NOT_SUPERVISED:
                return
            raise
        if supervisor is None:  # it may not be opened by us: all that there is to go by is what it says
            self.for_letter(directory, "x")
        else:
            self._pending.add(directory)
            self._hold(supervisor, lambda: self._pending.discard(directory))

    def while_runs(self, scandir: str) -> None:
        """Give up when the svscan of this scan directory ends. say.Fatal 1 when none runs there."""
        try:
            fd = os.open(f"{scandir}/.svscan/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR):
                raise say.Fatal(say.NO, f"no svscan runs on {scandir}") from error
            raise say.unable(f"control the svscan of {scandir}", error) from error
        self._hold(fd, lambda: self._lose(scandir))

    def wait(self, deadline: float, patience: float = NEVER) -> None:
        """Return when all is seen. say.Fatal 99 when DEADLINE comes before, 111 when svscan ends before, or nothing more of it comes for
        PATIENCE seconds.
        """
        left, stuck = len(self._pending), now() + patience
        while self._pending and not self._lost:
            if now() >= deadline:
                raise say.Fatal(say.TIMED_OUT, f"timed out waiting for {' '.join(sorted(self._pending))}")
            if len(self._pending) < left:
                left, stuck = len(self._pending), now() + patience
            if now() >= stuck:
                raise say.Fatal(say.TEMPORARY, f"no supervisor for {self._some()}; svscan says why")
            self._loop.turn(min(deadline, stuck))
        if self._pending:
            raise say.Fatal(say.TEMPORARY, f"the svscan of {self._lost} has ended")

    def _some(self) -> str:
        more = len(self._pending) - 1
        return min(self._pending) + (f" and {more} more" if more else "")

    def _hear(self, subscription: fifodir.Subscription, directory: str, letter: str) -> None:
        if letter.encode() in subscription.read():
            self._pending.discard(directory)

    def _hold(self, fd: int, ended: Callable[[], None]) -> None:
        """Call ENDED when nobody reads this FIFO any more."""
        self._held.append(fd)

        def hung_up() -> None:
            self._loop.forget(fd)
            ended()

        self._loop.watch(fd, hung_up, events=0)

    def _lose(self, scandir: str) -> None:
        self._lost = scandir
