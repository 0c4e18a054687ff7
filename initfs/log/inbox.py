"""What has been taken from a pipe and is not yet written: in a file, so that it outlives the logger.

splice(2) moves bytes from a pipe to a file, and however the call ends, by SIGKILL too, exactly the bytes that are gone from the pipe are in
the file. (read(2) would move them into memory, which dies with the process.) The first page of the file is a record of the block in
work. A successor takes the output of that block back and writes it again: no line is lost, doubled or torn.

How many bytes were moved must be seen from the file alone: it has grown, or blanks have been overwritten. Pages that are there already
cost a third of new ones, so under load the file is filled like a ring, and what is behind is blanked when the end has come.

The file is `inbox` in the first log directory of a script. After a small block it is cut down to its first page; RING and a pipe's
worth is the most. A clean end removes it. It belongs to a life of the machine: after a reboot it is not used.
"""

from __future__ import annotations

import fcntl
import os
from errno import ENOSPC

from initfs import files
from initfs.log import record as records
from initfs.log.record import Record
from initfs.value import replace

NAME, NEW = "inbox", "inbox.new"
AT_ONCE = 1 << 17  # bytes: what a block costs is shared by more lines than a pipe holds by default
RING = 1 << 17
SMALL = 16384  # bytes: after a block of so many, giving the pages back costs less than they do
_BLANKS = records.BLANK * 65536
_CREATE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def boot_id() -> bytes:
    """Which life of the machine this is, 16 bytes."""
    try:
        text = (files.read("/proc/sys/kernel/random/boot_id") or b"").decode().strip().replace("-", "")
        return bytes.fromhex(text)[:16].ljust(16, b"\0")
    except (OSError, ValueError):
        return bytes(16)


def widen(pipe: int) -> None:
    """Have a pipe hold AT_ONCE bytes. One that cannot, because its user's pipes have their share (pipe(7)), does its work as it is."""
    try:
        if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < AT_ONCE:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, AT_ONCE)
    except OSError:
        return


class Inbox:
    """Takes from a pipe."""

    waits = False  # `fill` says at once that there is nothing

    def __init__(self, directory: int, script: int) -> None:
        """Open it in the log directory DIRECTORY, for a script that is known by the number SCRIPT. OSError."""
        self._directory = directory
        self._boot = boot_id()
        self._script = script
        self._data = b""
        self._start = self._taken = records.SIZE
        self._limit = 0
        self._idle = (0, b"")  # what is held, and the state of the limits, between two blocks
        self._exact = False  # a blank was seen: leave no blank space
        self.left: Record | None = None
        self._fd = os.open(NAME, _CREATE, 0o600, dir_fd=directory)
        found = records.decode(os.pread(self._fd, records.SIZE, 0))
        if found is not None and found.boot == self._boot:
            size = os.fstat(self._fd).st_size
            self._data = records.filled(found, os.pread(self._fd, max(size - found.start, 0), found.start))
            self._exact = records.BLANK in self._data
            self.left = found
        self._renew(self.left)

    @property
    def same_script(self) -> bool:
        """Whether what was left was left by the same script."""
        return self.left is not None and self.left.script == self._script

    @property
    def block_left(self) -> int:
        """How many bytes the block that was in work had; 0: there was none."""
        return 0 if self.left is None else self.left.end - self.left.start

    def fill(self, fd: int, most: int = AT_ONCE) -> int:
        """Take what is in the pipe FD, MOST bytes at most; 0 at its end. BlockingIOError when there is nothing now; OSError."""
        if self._taken > records.SIZE + RING:
            self._wrap()
        count = os.splice(fd, self._fd, most, offset_dst=self._taken, flags=os.SPLICE_F_NONBLOCK)
        if count:
            self._taken += count
            self._data = os.pread(self._fd, self._taken - self._start, self._start)
            if not self._exact and records.BLANK in self._data:
                self._be_exact()
        return count

    def _be_exact(self) -> None:
        """A blank was seen: from now on there is no blank space behind what is taken, and the file's length tells all."""
        self._exact = True
        self._limit = records.EXACT
        os.ftruncate(self._fd, self._taken)
        held, state = self._idle
        self.note(0, 0, held, (), state)

    def data(self) -> bytes:
        """What is taken and not yet done with."""
        return self._data

    def note(
        self,
        used: int,
        stamp: int = 0,
        held: int = 0,
        places: tuple[records.Place, ...] = (),
        state: bytes = b"",
    ) -> None:
        """Record that the first USED bytes are in work."""
        start, taken, limit = self._start, self._taken, self._limit
        page = records.encoded(
            self._boot, self._script, start, start + used, taken, limit, stamp, held, places, state
        )
        os.pwrite(self._fd, page, 0)

    def done(self, used: int, held: int = 0, state: bytes = b"") -> None:
        """The first USED bytes are written. (As long as nothing else is recorded, doing them again changes nothing.)"""
        self._start += used
        self._data = self._data[used:]
        if not self._data and (used < SMALL or self._exact):
            self.note(0, 0, held, (), state)
            os.ftruncate(self._fd, records.SIZE)
            self._start = self._taken = records.SIZE
            self.note(0, 0, held, (), state)
        self._idle = (held, state)

    def _wrap(self) -> None:
        """Go back to the beginning of the file with what is left, over blanked pages. A record separates any two of these steps that
        would mean something else together.
        """
        if self._exact:
            self._renew()
            return
        end, (held, state) = self._start, self._idle
        self.note(0, 0, held, (), state)
        self._blank(records.SIZE, end)
        os.pwrite(self._fd, self._data, records.SIZE)
        self._start, self._taken, self._limit = records.SIZE, records.SIZE + len(self._data), end
        self.note(0, 0, held, (), state)
        os.ftruncate(self._fd, end)
        self._limit = 0  # recorded before more comes: behind a limit it would not be found
        self.note(0, 0, held, (), state)

    def _blank(self, begin: int, end: int) -> None:
        while begin < end:
            begin += os.pwrite(self._fd, _BLANKS[: end - begin], begin)

    def _renew(self, left: Record | None = None) -> None:
        """Begin a new file with what is left of the old one. OSError."""
        size, start = len(self._data), records.SIZE
        work = left.end - left.start if left is not None else 0
        limit = records.EXACT if self._exact else 0
        held, state = self._idle
        new = Record(
            self._boot, self._script, start, start + work, start + size, limit, held=held, state=state
        )
        if left is not None:
            script, places = left.script, left.places
            new = replace(
                new, script=script, stamp=left.stamp, held=left.held, places=places, state=left.state
            )
        page = records.encode(new).ljust(records.SIZE, b"\0")
        fd = os.open(NEW, _CREATE | os.O_TRUNC, 0o600, dir_fd=self._directory)
        try:
            if os.write(fd, page + self._data) < len(page) + size:
                raise OSError(ENOSPC, os.strerror(ENOSPC))  # noqa: TRY301
            os.rename(NEW, NAME, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._start, self._taken = fd, start, start + size
        self._limit = records.EXACT if self._exact else 0

    def move(self, directory: int) -> None:
        """The log directory was made anew: so is the file."""
        self._directory = directory
        files.tried("make a new inbox", self._renew)

    def close(self) -> None:
        """Forget it; the file goes, unless something is left in it."""
        if self._data:
            files.tried("write to the inbox", lambda: self.note(0, 0, self._idle[0], (), self._idle[1]))
        os.close(self._fd)
        if not self._data:
            files.tried("remove the inbox", lambda: files.remove(NAME, at=self._directory))


class Memory:
    """The same without a file: for what is no pipe, or has no log directory. What it holds dies with the process."""

    waits = True
    left: Record | None = None
    same_script = False
    block_left = 0

    def __init__(self, rest: bytes = b"") -> None:
        self._rest = rest

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
