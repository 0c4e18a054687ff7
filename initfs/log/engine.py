"""The loop of a logger: one or many streams, the signals, and the deaths of processors."""

from __future__ import annotations

import os

from initfs import process, signals
from initfs.loop import NEVER, Loop, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.stream import Stream


# Bytes. Once a mapping of that size has been freed, glibc takes what is smaller from the heap, and gives the heap's end back only when twice as
# much is free (mallopt(3), M_MMAP_THRESHOLD): blocks of lines do not fault their pages in again and again, which costs more than all else.
HEAP = 1 << 20


class Engine:
    """Turns until its streams have ended."""

    def __init__(self) -> None:
        bytes(HEAP)
        self.loop = Loop()
        self.streams: list[Stream] = []
        self._watched: dict[int, Stream] = {}
        self._always: set[int] = set()  # what epoll(7) does not take, a file, is always ready

    def on_signals(self, *, protected: bool) -> None:
        """TERM, unless PROTECTED, and HUP end; ALRM rotates; CHLD tells of processors."""
        term = () if protected else (signals.TERM,)
        if protected:
            signals.ignore(signals.TERM)
        self.loop.on_signals(self.signalled, *term, signals.HUP, signals.ALRM, signals.CHLD)

    def signalled(self, signum: int) -> None:
        """Obey a signal."""
        if signum == signals.CHLD:
            self.reap()
        for stream in self.streams:
            if signum == signals.ALRM:
                stream.rotate()
            elif signum in (signals.TERM, signals.HUP):
                stream.stop()

    def reap(self) -> None:
        """Tell the streams of the children that have ended."""
        for pid, status in process.reap():
            for stream in self.streams:
                stream.died(pid, status)

    def add(self, stream: Stream) -> None:
        """Serve one more stream, which is open."""
        self.streams.append(stream)

    def turn(self, deadline: float = NEVER) -> list[Stream]:
        """Wait for what comes first, and serve it; returns the streams that have come to their end."""
        for stream in self.streams:
            self._follow(stream)
        due = min([deadline, *[stream.due for stream in self.streams]])
        closing = any(stream.ended for stream in self.streams)
        ready = [stream for stream in self.streams if stream.fd in self._always and not stream.waiting]
        self.loop.turn(0.0 if ready else due)
        moment = now()
        for stream in ready:
            stream.take()
        for stream in self.streams:
            if stream.due <= moment:
                stream.tick(moment)
        if closing or any(stream.ended for stream in self.streams):
            return self._ended()
        return []

    def _ended(self) -> list[Stream]:
        ended = [stream for stream in self.streams if stream.ended and stream.close()]
        for stream in ended:
            self._forget(stream)
            self.streams.remove(stream)
        return ended

    def _follow(self, stream: Stream) -> None:
        """Look at its input only while it can take something."""
        wanted = not stream.waiting and stream.again == NEVER
        fd = stream.fd
        if not wanted:
            self._forget(stream)
        elif fd not in self._watched and fd not in self._always:
            try:
                self.loop.watch(fd, stream.take)
                self._watched[fd] = stream
            except PermissionError:
                self._always.add(fd)

    def _forget(self, stream: Stream) -> None:
        if self._watched.pop(stream.fd, None) is not None:
            self.loop.forget(stream.fd)
        if stream.ended:
            self._always.discard(stream.fd)


def let_go(fd: int) -> None:
    """Close the input: what is still in it is for the next reader, and writers notice when there is none."""
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, fd)
    os.close(null)
