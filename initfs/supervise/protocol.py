"""The files in `supervise/` and the letters in `event/`: what every suite's clients read and write.

The lock is held both ways, by flock(2) for runsv and supervise(8) and by fcntl(2) for s6's clients, which ask F_GETLK.
Closing any descriptor of a file drops a process's fcntl locks on it: nothing here ever opens `lock` a second time.

`control` and `ok` are held open for reading and writing, so that they never report an end. Whoever opens `ok` for writing
learns from ENXIO that nobody supervises; nothing is ever written to it.
"""

from __future__ import annotations

import fcntl
import os

from initfs import files
from initfs.notify import fifodir
from initfs.supervise import status as layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

# A listener that reads `D` and `u` in one go takes a restart for a stop (`facts/peers.md` 7.4): what follows a `D`
# waits this many seconds when somebody listens.
APART = 0.005
RECORD = 14  # bytes of one death in death_tally: TAI64N, exit code, signal


class Busy(Exception):
    """Another supervisor holds the lock."""


class Protocol:
    """The supervise/ and event/ directories of one service directory."""

    def __init__(self, directory: int) -> None:
        """Take the lock. Busy when another supervisor has it, OSError when the directory cannot be used."""
        self._service = directory
        self._fd, self._fresh = _make(directory)
        self.control = self._ok = -1
        self._letters = b""
        self._not_before = 0.0
        self._failure = ""
        try:
            self._lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=self._fd)
        except OSError:
            os.close(self._fd)
            raise
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            os.close(self._fd)
            raise Busy from error

    def open(self) -> None:
        """Make and open the FIFOs: from here on commands can be sent."""
        files.make_fifo("control", 0o600, at=self._fd)
        files.make_fifo("ok", 0o600, at=self._fd)
        if fifodir.ensure("event", at=self._service):
            self._letters = b""  # nobody can have listened before it was there
        else:
            fifodir.clean("event", at=self._service)
        os.close(
            os.open(
                "death_tally", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644, dir_fd=self._fd
            )
        )
        self.control = files.hold_fifo("control", at=self._fd)
        self._ok = files.hold_fifo("ok", at=self._fd)

    def read_former(self) -> Status | None:
        """What the supervisor before us wrote last, if there was one."""
        if self._fresh:
            return None
        return read_former("status", self._fd)

    def write(self, status: Status, failure: str) -> None:
        """Replace the status files. `status` comes last: who reads it may read the others."""
        if failure != self._failure:
            self._failure = failure
            files.write("failure", failure.encode(errors="replace") + b"\n" * bool(failure), at=self._fd)
        files.write("pid", layout.pid_line(status), at=self._fd)
        files.write("stat", layout.stat_line(status), at=self._fd)
        files.write("status", layout.encode(status), at=self._fd)

    def tell(self, letters: str) -> None:
        """Have letters sent to the listeners by the next `flush`."""
        self._letters += letters.encode()

    def flush(self, now: float) -> float:
        """Send what is due of the letters; returns when to come again, or infinity."""
        while self._letters:
            if now < self._not_before:
                return self._not_before
            head, down, rest = self._letters.partition(b"D")
            heard = fifodir.notify("event", head + down, at=self._service)
            self._letters = rest
            if down and heard:
                self._not_before = now + APART
        return float("inf")

    def record_death(self, stamp: bytes, status: int, keep: int) -> None:
        """Append a death to death_tally, of which the last KEEP are remembered."""
        signum = status & 0x7F
        record = stamp + bytes([128 + signum if signum else status >> 8 & 0xFF, signum])
        old = files.read("death_tally", at=self._fd, size=65536) or b""
        kept = b"" if len(old) % RECORD else old
        content = (kept + record)[-keep * RECORD :] if keep else b""
        if content or kept:
            files.write("death_tally", content, at=self._fd)

    def open_service_lock(self) -> int:
        """A descriptor of `supervise/service-lock`, to be locked and held by the service."""
        return os.open("service-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=self._fd)

    def close(self) -> None:
        """Send the last letters, whoever may take them for the wrong ones, and let go of everything, the lock last."""
        if self._letters:
            files.tried("tell the last", lambda: fifodir.notify("event", self._letters, at=self._service))
        for fd in (self.control, self._ok, self._lock, self._fd):
            if fd >= 0:
                os.close(fd)


def read_former(path: str, at: int) -> Status | None:
    """The status that a supervisor left in the file PATH below AT; None when there is none, or it can't be read."""
    try:
        data = files.read(path, at=at)
        return layout.decode(data) if data else None
    except (OSError, ValueError):
        return None


def _make(directory: int) -> tuple[int, bool]:
    """Make supervise/ if need be, a dangling link's target included; its descriptor, and whether it is new."""
    fresh = True
    try:
        os.mkdir("supervise", 0o700, dir_fd=directory)
    except FileExistsError:
        fresh = False
        if not os.path.exists(f"/proc/self/fd/{directory}/supervise"):
            os.mkdir(os.readlink("supervise", dir_fd=directory), 0o700, dir_fd=directory)
    return os.open("supervise", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory), fresh
