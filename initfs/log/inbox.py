"""What has been taken from a pipe and is not yet written: in a file, so that it outlives the logger.

splice(2) moves bytes from a pipe to a file in one system call, and however that call ends, by SIGKILL too, exactly the bytes that are gone from
the pipe are in the file: the file's length tells how many. (read(2) would move them into memory, which dies with the process.) The first page
of the file is a record of the block in work. A successor takes the output of that block back and writes it again: no line is lost,
doubled or torn.

The file is `inbox` in the first log directory of a script, at most LIMIT bytes and a pipe's worth, cut down whenever all is
written, and removed by a clean end. It belongs to a life of the machine: after a reboot it is not used.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.log import record as records
from initfs.log.record import Record

NAME, NEW = "inbox", "inbox.new"
AT_ONCE = 65536
LIMIT = 1 << 19
_CREATE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def boot_id() -> bytes:
    """Which life of the machine this is, 16 bytes."""
    try:
        text = (files.read("/proc/sys/kernel/random/boot_id") or b"").decode().strip().replace("-", "")
        return bytes.fromhex(text)[:16].ljust(16, b"\0")
    except (OSError, ValueError):
        return bytes(16)


class Inbox:
    """Takes from a pipe."""

    def __init__(self, directory: int, script: int) -> None:
        """Open it in the log directory DIRECTORY, for a script that is known by the number SCRIPT. OSError."""
        self._directory = directory
        self._boot = boot_id()
        self._script = script
        self._rest = b""
        self._fd = os.open(NAME, _CREATE, 0o600, dir_fd=directory)
        size = os.fstat(self._fd).st_size
        found = records.decode(os.pread(self._fd, records.SIZE, 0)) if size >= records.SIZE else None
        self.left: Record | None = None
        if found is not None and found.boot == self._boot and found.start <= size:
            self.left = found
            self._start, self._end = found.start, size
            self._rest = os.pread(self._fd, self._end - self._start, self._start)
        else:
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, records.SIZE)
            self._start = self._end = records.SIZE
            self.note(0)

    @property
    def same_script(self) -> bool:
        """Whether what was left was left by the same script."""
        return self.left is not None and self.left.script == self._script

    @property
    def block_left(self) -> int:
        """How many bytes the block that was in work had; 0: there was none."""
        if self.left is None or not records.unfinished(self.left, self._end):
            return 0
        return self.left.end - self.left.start

    def fill(self, fd: int, most: int = AT_ONCE) -> int:
        """Take what is in the pipe FD, MOST bytes at most; 0 at its end. BlockingIOError when there is nothing now; OSError."""
        count = os.splice(fd, self._fd, most, offset_dst=self._end, flags=os.SPLICE_F_NONBLOCK)
        if count:
            self._rest += os.pread(self._fd, count, self._end)
            self._end += count
        return count

    def data(self) -> bytes:
        """What is taken and not yet done with."""
        return self._rest

    def note(
        self,
        used: int,
        stamp: int = 0,
        held: int = 0,
        places: tuple[records.Place, ...] = (),
        state: bytes = b"",
    ) -> None:
        """Record that the first USED bytes are in work."""
        record = Record(self._boot, self._script, self._start, self._start + used, stamp, held, places, state)
        os.pwrite(self._fd, records.encode(record), 0)

    def done(self, used: int, held: int = 0, state: bytes = b"") -> None:
        """The first USED bytes are written."""
        self._start += used
        self._rest = self._rest[used:]
        if not self._rest:
            os.ftruncate(self._fd, records.SIZE)
            self._start = self._end = records.SIZE
            self.note(0, 0, held, (), state)
        elif self._start > LIMIT:
            self._renew(held, state)

    def _renew(self, held: int, state: bytes) -> None:
        """Begin a new file with what is left of the old one. When that fails the old one goes on, and grows."""
        start = self._start
        self._start = records.SIZE
        record = Record(self._boot, self._script, records.SIZE, records.SIZE, 0, held, (), state)
        page = records.encode(record).ljust(records.SIZE, b"\0")
        try:
            fd = os.open(NEW, _CREATE | os.O_TRUNC, 0o600, dir_fd=self._directory)
            try:
                if os.write(fd, page + self._rest) < len(page) + len(self._rest):
                    raise OSError(28, "")  # noqa: TRY301
                os.rename(NEW, NAME, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            except OSError:
                os.close(fd)
                raise
        except OSError as error:
            self._start = start
            say.warning(f"unable to renew the inbox: {say.reason(error)}; it grows")
            return
        os.close(self._fd)
        self._fd = fd
        self._end = records.SIZE + len(self._rest)

    def move(self, directory: int) -> None:
        """The log directory was made anew: so is the file."""
        self._directory = directory
        self._renew(0, b"")

    def close(self) -> None:
        """Forget it; the file goes, unless something is left in it."""
        os.close(self._fd)
        if not self._rest:
            files.tried("remove the inbox", lambda: files.remove(NAME, at=self._directory))


class Memory:
    """The same without a file: for what is no pipe, or has no log directory. What it holds dies with the process."""

    left: Record | None = None
    same_script = False
    block_left = 0

    def __init__(self) -> None:
        self._rest = b""

    def fill(self, fd: int, most: int = AT_ONCE) -> int:
        data = os.read(fd, most)
        self._rest += data
        return len(data)

    def data(self) -> bytes:
        return self._rest

    def note(self, *_: object) -> None:
        """Nobody would read it."""

    def done(self, used: int, *_: object) -> None:
        self._rest = self._rest[used:]

    def move(self, _directory: int) -> None:
        """It is nowhere."""

    def close(self) -> None:
        """There is nothing to close."""
