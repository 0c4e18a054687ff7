"""Where a service's standard descriptors go: held log pipes, the console, or simply the tree's own.

The tree holds both ends of each log pipe, so that neither the death of the service nor of its logger breaks it, and what
was written and not yet read waits in the kernel (pipe(7): 64 KiB).
"""

from __future__ import annotations

import os
import select

LINE_MAX = 4096  # PIPE_BUF: poll(2) calls a pipe writable when that much fits


class Pipe:
    """A held pipe between a service and its logger."""

    __slots__ = ("reading", "writing")

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        self.reading, self.writing = ends or os.pipe2(os.O_CLOEXEC)

    def say(self, line: bytes) -> bool:
        """Put a line into the pipe, as if the service had written it; False when it does not fit now.

        The pipe itself must stay blocking, for its writers share that flag with us.
        """
        if self.writing < 0 or len(line) > LINE_MAX:
            return False
        poll = select.poll()
        poll.register(self.writing, select.POLLOUT)
        if not poll.poll(0):
            return False
        return os.write(self.writing, line) == len(line)

    def close_writing(self) -> None:
        """Let go of the writing end: once the service is dead too, the logger reads what is left, and then the end."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        """Let go of both ends."""
        self.close_writing()
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1


class Stdio:
    """What is given to a service as 0, 1 and 2. Descriptors of -1 are not given: the tree's own are inherited."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, *, stdin: Pipe | None = None, stdout: Pipe | None = None, stderr: int = -1) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr

    def descriptors(self) -> list[tuple[int, int]]:
        """The (ours, child's) pairs of a start."""
        given = []
        if self.stdin is not None and self.stdin.reading >= 0:
            given.append((self.stdin.reading, 0))
        if self.stdout is not None and self.stdout.writing >= 0:
            given.append((self.stdout.writing, 1))
        if self.stderr >= 0:
            given.append((self.stderr, 2))
        return given
