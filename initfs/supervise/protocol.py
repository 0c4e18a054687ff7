"""The files in `supervise/` and the letters in `event/`: what every suite's clients read and write.

The lock is held both ways, by flock(2) for runsv and supervise(8) and by fcntl(2) for s6's clients, which ask F_GETLK. The latter is
an open file description lock, which is the open file's as that of flock is: closing another descriptor of `lock` does not drop it.

What is written after the first starts, status and letters, imports its modules then: they are a tenth of what the start of svscan takes.

`control` is held open for reading and writing, so that it never reports an end. `ok` is another name of it: whoever opens that for
writing learns from ENXIO that nobody supervises, and nobody writes to it.
"""

from __future__ import annotations

import fcntl
import os
import sys

from initfs import files, say
from initfs.supervise.parking import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

# A listener that reads `D` and `u` in one go takes a restart for a stop (`facts/peers.md` 7.4): what follows a `D`
# waits this many seconds when somebody listens.
APART = 0.005
LOCK, CONTROL, OK = "supervise/lock", "supervise/control", "supervise/ok"
STATUS, TALLY = "supervise/status", "supervise/death_tally"
# struct flock begins with l_type; all else is 0: the whole file, and no pid.
WHOLE_FILE = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(30)
RECORD = 14  # bytes of one death in death_tally: TAI64N, exit code, signal


class Busy(Exception):
    """Another supervisor holds the lock."""


class Protocol:
    """The supervise/ and event/ directories of one service directory."""

    __slots__ = (
        "_at",
        "_fresh",
        "_furnished",
        "_letters",
        "_lock",
        "_not_before",
        "_written",
        "control",
    )

    def __init__(self, directory: int) -> None:
        """Take the lock. Busy when another supervisor has it, OSError when the directory cannot be used."""
        self._at = directory
        self._fresh = _make(directory)
        self.control = -1
        self._furnished = False
        self._letters = b""
        self._not_before = 0.0
        self._written = (-1, "", "")  # pid, what `stat` says, and failure
        self._lock = self._take_lock(directory)

    def _take_lock(self, directory: int) -> Held:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, WHOLE_FILE)
            return Held(lock)
        except BlockingIOError as error:
            os.close(lock)
            raise Busy from error
        except BaseException:
            os.close(lock)
            raise

    def open(self) -> None:
        """Make and open the FIFO: from here on commands can be sent. The very first may be `run`'s own, to itself."""
        files.make_fifo(CONTROL, 0o600, at=self._at)
        self.control = files.hold_fifo(CONTROL, at=self._at)

    def write(self, status: Status, failure: str, name: str) -> None:
        """Bring the files up to date. No start waits for this."""
        if not self._furnished:
            self._furnish(name)
            self._furnished = True
        self._replace(status, failure)

    def _furnish(self, name: str) -> None:
        """Have what is told to listeners and remembered of deaths."""
        from initfs.notify import fifodir

        try:
            if fifodir.ensure("event", at=self._at):
                self._letters = b""  # nobody can have listened before it was there
            else:
                fifodir.clean("event", at=self._at)
        except OSError as error:
            say.warning(f"{name}: unable to use event/: {say.reason(error)}; nobody can listen")
        if self._fresh:
            files.create(TALLY, at=self._at)
        else:
            files.write(TALLY, b"", at=self._at)

    def read_former(self) -> Status | None:
        """What the supervisor before us wrote last, if there was one."""
        if self._fresh:
            return None
        return read_former(STATUS, self._at)

    def _replace(self, status: Status, failure: str) -> None:
        """Replace the status files that differ. `status` comes first: it is what programs read, `pid` and `stat` are for scripts.

        Who must have all of them agree waits for the letter or the event, which come after the last. The very first time `ok` follows,
        which says that there is somebody to ask: not before there is an answer.
        """
        from initfs.supervise import status as layout

        pid, stat = status.pid, layout.stat_words(status)
        old_pid, old_stat, old_failure = self._written
        files.write(STATUS, layout.encode(status), at=self._at)
        if failure != old_failure:
            content = failure.encode(errors="replace") + b"\n" * bool(failure)
            files.write("supervise/failure", content, at=self._at)
        if pid and pid != old_pid:
            files.write("supervise/pid", b"%d\n" % pid, at=self._at)
        elif pid != old_pid:
            files.empty("supervise/pid", at=self._at)
        if stat != old_stat:
            files.write("supervise/stat", stat.encode() + b"\n", at=self._at)
        if old_pid < 0:
            _link(CONTROL, OK, self._at)
        self._written = (pid, stat, failure)

    def tell(self, letters: str) -> None:
        """Have letters sent to the listeners by the next `flush`."""
        self._letters += letters.encode()

    def flush(self, now: float) -> float:
        """Send what is due of the letters; returns when to come again, or infinity."""
        from initfs.notify import fifodir

        while self._letters:
            if now < self._not_before:
                return self._not_before
            head, down, rest = self._letters.partition(b"D")
            try:
                heard = fifodir.notify("event", head + down, at=self._at)
            except OSError:  # no directory to listen in
                heard = 0
            self._letters = rest if heard else b""  # what nobody hears is not kept for later
            if down and heard:
                self._not_before = now + APART
        return float("inf")

    def record_death(self, stamp: bytes, status: int, keep: int) -> None:
        """Append a death to death_tally, of which the last KEEP are remembered."""
        signum = status & 0x7F
        record = stamp + bytes([128 + signum if signum else status >> 8 & 0xFF, signum])
        if self._append(record, keep * RECORD):
            return
        old = files.read(TALLY, at=self._at, size=65536) or b""
        kept = b"" if len(old) % RECORD else old
        content = (kept + record)[-keep * RECORD :] if keep else b""
        if content or kept:
            files.write(TALLY, content, at=self._at)

    def _append(self, record: bytes, most: int) -> bool:
        """Whether the tally is one that a record could simply be added to, in one write. It never has more than MOST bytes."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(TALLY, flags, dir_fd=self._at)
        except OSError:
            return False
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            if size % RECORD or size + RECORD > most:
                return False
            if os.write(fd, record) == RECORD:
                return True
            os.ftruncate(fd, size)
        except OSError:
            return False
        finally:
            os.close(fd)
        return False

    def open_service_lock(self) -> int:
        """A descriptor of `supervise/service-lock`, to be locked and held by the service."""
        return os.open(
            "supervise/service-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=self._at
        )

    def close(self) -> None:
        """Send the last letters, whoever may take them for the wrong ones, and let go of everything, the lock last."""
        if self._letters:
            from initfs.notify import fifodir

            files.tried("tell the last", lambda: fifodir.notify("event", self._letters, at=self._at))
        if self.control >= 0:
            os.close(self.control)
        self.control = -1
        self._lock.close()


def read_former(path: str, at: int) -> Status | None:
    """The status that a supervisor left in the file PATH below AT; None when there is none, or it can't be read."""
    from initfs.supervise import status as layout

    try:
        data = files.read(path, at=at)
        return layout.decode(data) if data else None
    except (OSError, ValueError):
        return None


def _make(directory: int) -> bool:
    """Make supervise/ if need be, a dangling link's target included; True when it is new."""
    try:
        os.mkdir("supervise", 0o700, dir_fd=directory)
    except FileExistsError:
        if not os.path.exists(f"/proc/self/fd/{directory}/supervise"):
            os.mkdir(os.readlink("supervise", dir_fd=directory), 0o700, dir_fd=directory)
        return False
    return True


def _link(existing: str, name: str, at: int) -> None:
    """One FIFO under two names: who asks `ok` whether somebody reads, asks for `control` as well, and one descriptor serves both."""
    try:
        os.link(existing, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
    except FileExistsError:
        if not os.path.samestat(os.stat(existing, dir_fd=at), os.stat(name, dir_fd=at)):
            os.unlink(name, dir_fd=at)
            os.link(existing, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
