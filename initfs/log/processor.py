"""What makes an archive of a full log: a program that reads `previous` and writes `processed`. Only logs with one import this.

Source: `spec/logging.md` 2.2. Its descriptors 4 and 5 are the state of the run before, and that for the next one. It must succeed: after a failure
it is run again.
"""

from __future__ import annotations

import fcntl
import os
import time

from initfs import files, process, say
from initfs.log.archives import FINISHED, PREVIOUS, PROCESSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.log.logdir import Logdir

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
ABOVE = 10  # its own descriptors end at 5


class Processor:
    """One rotation's run of the program."""

    def __init__(self, logdir: Logdir) -> None:
        self._logdir = logdir
        self._status: int | None = None

    def run(self) -> bool:
        """Start it, then say False until it has ended well."""
        logdir = self._logdir
        if logdir.child:
            return False
        if self._status is None:
            logdir.child = self._spawn(logdir.fd, logdir.policy.processor)
            return False
        status, self._status = self._status, None
        if status:
            how = f"signal {status & 0x7F}" if status & 0x7F else f"exit code {status >> 8}"
            say.warning(f"the processor of {logdir.path} failed: {how}; running it again")
            logdir.again = time.monotonic() + logdir.policy.retry
            raise OSError(5, "the processor failed")
        return True

    def died(self, status: int) -> None:
        """The child is dead."""
        self._logdir.child = 0
        self._status = status

    @staticmethod
    def _spawn(directory: int, argv: tuple[str, ...]) -> int:
        opened = []
        try:
            for name, flags in (
                (PREVIOUS, os.O_RDONLY | os.O_CLOEXEC),
                (PROCESSED, _WRITE),
                ("state", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC),
                ("newstate", _WRITE),
            ):
                fd = os.open(name, flags, 0o666, dir_fd=directory)
                opened.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ABOVE))
                os.close(fd)
            os.fchmod(opened[1], os.fstat(opened[1]).st_mode & 0o7777 & ~FINISHED)
            command = process.ourselves("initfs.main") if argv[0] == "chain" else []
            pairs = list(zip(opened, (0, 1, 4, 5), strict=True))
            line = [*command, *argv]
            return process.spawn(
                line[0], line, os.environ, descriptors=pairs, directory=directory, session=False
            )
        finally:
            for fd in opened:
                os.close(fd)

    def finish(self) -> None:
        """Its output is whole: make it the archive, and its new state the state."""
        at = self._logdir.fd
        for name in (PROCESSED, "newstate"):
            fd = os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=at)
            try:
                os.fsync(fd)
                if name == PROCESSED:
                    os.fchmod(fd, os.fstat(fd).st_mode & 0o7777 | FINISHED)
            finally:
                os.close(fd)
        files.remove(PREVIOUS, at=at)
        os.rename("newstate", "state", src_dir_fd=at, dst_dir_fd=at)

    def archive(self) -> None:
        self._logdir.archive_processed()


def steps(logdir: Logdir) -> list[Callable[[], object]]:
    """What is left of a rotation once `previous` is there."""
    run = Processor(logdir)
    logdir.processor = run
    return [run.run, run.finish, run.archive]
