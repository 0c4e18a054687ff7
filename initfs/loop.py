"""One epoll, one wait, no thread: descriptors, signals and the next deadline are all a program has to wait for.

Some facts. epoll(7) costs nothing per idle descriptor. A caught signal interrupts the wait: its number is written by
the C handler to a pipe of ours (`set_wakeup_fd`), so it is just one more readable descriptor, and none is lost while
the pipe has room; a full pipe already holds a wake-up, and SIGCHLD's deaths are fetched by waitpid anyway. Deadlines are
CLOCK_MONOTONIC seconds: boards without a clock jump decades when they learn the time.
"""

from __future__ import annotations

import os
import select
import time

from initfs import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = float("inf")
LONGEST = 86400.0  # seconds: epoll_wait(2) counts milliseconds in an int
READ, WRITE = select.EPOLLIN, select.EPOLLOUT
HUNG_UP = select.EPOLLHUP | select.EPOLLERR
now = time.monotonic


class Loop:
    """Waits for descriptors and signals, and calls whoever asked, once per turn each."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wanted: dict[int, Callable[[], None]] = {}
        self._wakeup, self._written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._on_signal: Callable[[int], None] | None = None
        signals.wake(self._written)
        self.watch(self._wakeup, self._signalled)

    def on_signals(self, call: Callable[[int], None], *signums: int) -> None:
        """Have CALL called with the number of each of these signals, inside the loop."""
        self._on_signal = call
        signals.catch(*signums)

    def watch(self, fd: int, call: Callable[[], None], events: int = READ) -> None:
        """Have CALL called in each turn in which FD is ready (or its other side is gone)."""
        self._epoll.register(fd, events)
        self._wanted[fd] = call

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """No longer watch FD; the caller closes it afterwards."""
        if self._wanted.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, deadline: float = NEVER) -> None:
        """Wait until something is ready or DEADLINE (monotonic seconds) has come, and serve all that is ready once."""
        timeout = -1.0 if deadline == NEVER else min(max(0.0, deadline - now()), LONGEST)
        for fd, _ in self._epoll.poll(timeout, maxevents=256):
            call = self._wanted.get(fd)  # an earlier call of this turn may have forgotten it
            if call is not None:
                call()

    def close(self) -> None:
        """Give back the descriptors and the signals' way in."""
        signals.wake(-1)
        self._epoll.close()
        os.close(self._wakeup)
        os.close(self._written)

    def _signalled(self) -> None:
        for signum in set(os.read(self._wakeup, 4096)):
            if self._on_signal is not None:
                self._on_signal(signum)
