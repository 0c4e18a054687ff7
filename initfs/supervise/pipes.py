"""Where a service's standard descriptors go: held log pipes, the console, or simply the tree's own.

The tree holds both ends of each log pipe, so that neither the death of the service nor of its logger breaks it, and what
was written and not yet read waits in the kernel (pipe(7): 64 KiB).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.kept import Kept

LINE_MAX = 4096  # PIPE_BUF: a write of no more is whole or not at all, pipe(7)


class Pipe:
    """A held pipe between a service and its logger."""

    __slots__ = ("reading", "writing")

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        self.reading, self.writing = ends or os.pipe2(os.O_CLOEXEC)

    def say(self, line: bytes) -> bool:
        """Put a line into the pipe, as if the service had written it; False when it does not fit now.

        Our end must stay blocking, for the service shares that flag: this opens the pipe anew, for itself.
        """
        if self.writing < 0 or len(line) > LINE_MAX:
            return False
        try:
            fd = os.open(f"/proc/self/fd/{self.writing}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return os.write(fd, line) == len(line)
        except OSError:
            return False
        finally:
            os.close(fd)

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

    __slots__ = ("_kept", "stderr", "stdin", "stdout")

    def __init__(self, *, stdin: Pipe | None = None, stdout: Pipe | None = None, stderr: int = -1) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._kept: Kept | None = None

    def descriptors(self, keep_fd: int = 0) -> list[tuple[int, int]]:
        """The (ours, child's) pairs of a start; KEEP_FD is where what the service keeps goes, 0: nowhere. Refused."""
        given = []
        if self.stdin is not None and self.stdin.reading >= 0:
            given.append((self.stdin.reading, 0))
        if self.stdout is not None and self.stdout.writing >= 0:
            given.append((self.stdout.writing, 1))
        if self.stderr >= 0:
            given.append((self.stderr, 2))
        if keep_fd:
            given += self._keeping().descriptors(keep_fd)
        return given

    def take(self, keep_fd: int, pidfd: int) -> None:
        """Have what a process keeps that runs already."""
        if keep_fd:
            self._keeping().take(pidfd, keep_fd)

    def release(self) -> None:
        """Let go of what the service kept: it is supervised no longer."""
        if self._kept is not None:
            self._kept.close()

    def _keeping(self) -> Kept:
        if self._kept is None:
            from initfs.supervise.kept import Kept

            self._kept = Kept()
        return self._kept
