"""A log directory: appended to, rotated, and mended after an interruption.

Source: `spec/logging.md` 2.2. `current` carries its owner's execute bit when it was ended cleanly. Every step of a rotation that fails is tried
again later, and nothing is written meanwhile: what is to be written waits in the inbox, and behind it in the pipe.
"""

from __future__ import annotations

import fcntl
import os
import time
from errno import EDQUOT, ENOSPC

from initfs import files, say, tai
from initfs.log import rotate
from initfs.log.archives import CURRENT, FINISHED, PREVIOUS, PROCESSED, Archives, mark
from initfs.log.record import Place
from initfs.log.stamp import stamped
from initfs.loop import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.log.processor import Processor
    from initfs.log.script import Policy

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Busy(Exception):
    """Another logger has the directory."""


class Logdir:
    """One log directory. Its steps raise OSError inside, and are tried again; outside only `open` raises."""

    def __init__(self, path: str, policy: Policy, offset: int = tai.LEAP) -> None:
        """OFFSET is the convention of the archives' names."""
        self.path = path
        self.policy = policy
        self._archives = Archives(path, policy, offset)
        self.fd = self._lock = -1
        self.size = 0
        self.again = NEVER  # when to try again what failed
        self.moved: Callable[[], None] = lambda: None  # called when the place changes in the midst of a block
        self.remade: Callable[[], None] = lambda: None  # called when the directory was made anew
        self._current = -1
        self._inode = 0
        self._text = b""
        self._at = self._end = 0  # how much of the text is written, and how much of it counts
        self._fresh = False
        self._steps: list[Callable[[], object]] = []
        self._said = ""
        self.rotate_at = NEVER
        self.child = 0  # the processor's pid
        self.processor: Processor | None = None

    # Beginning and end ----------------------------------------------------------------------------

    def open(self) -> None:
        """Make the directory if need be, and lock it. Busy, OSError."""
        try:
            os.mkdir(self.path, 0o700)
            os.chmod(self.path, 0o2700)
        except FileExistsError:
            pass
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.fd)
        try:  # svlogd and multilog take the one lock, s6-log the other
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise Busy from None

    def restore(self, place: Place | None, *, resume: bool = False) -> None:
        """Take back what was written of a block that is to be written again, mend what was interrupted, and open `current`.

        RESUME: the last line in `current` goes on. OSError.
        """
        if place is not None and place.inode:
            self._take_back(place)
        self._archives.look(self.fd)
        if not resume:
            self._archives.recover(self.fd)
        if self.policy.processor and "state" not in os.listdir(self.fd):
            files.create("state", at=self.fd)
        self._open()
        self._archives.trim(self.fd)
        self._archives.keep(self.fd)

    def _take_back(self, place: Place) -> None:
        try:
            fd = os.open(CURRENT, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.fd)
        except FileNotFoundError:
            return
        try:
            if os.fstat(fd).st_ino == place.inode and os.fstat(fd).st_size > place.size:
                os.ftruncate(fd, place.size)
        finally:
            os.close(fd)

    def _open(self) -> None:
        fd = os.open(CURRENT, _APPEND, 0o666, dir_fd=self.fd)
        seen = os.fstat(fd)
        os.fchmod(fd, seen.st_mode & 0o7777 & ~FINISHED)
        os.set_blocking(fd, True)
        if self._current >= 0:
            os.close(self._current)
        self._current, self._inode, self.size = fd, seen.st_ino, seen.st_size
        self._fresh = True
        self.rotate_at = time.monotonic() + self.policy.period if self.policy.period else NEVER

    def abandon(self) -> None:
        """Close without an end: it could not be used, or another one could not."""
        for fd in (self._lock, self._current, self.fd):
            if fd >= 0:
                os.close(fd)
        self._lock = self._current = self.fd = -1

    def close(self) -> bool:
        """End cleanly: `current` is on the disk and marked. False when that fails now, and is to be tried again."""
        if not self.settled and not self.push():
            return False
        if self.policy.keep and self._current >= 0:
            self.rotate()
        if not self.settled:
            return False
        if self._current >= 0 and not self._try(self._close):
            return False
        os.close(self._lock)
        os.close(self.fd)
        return True

    def _close(self) -> None:
        os.fsync(self._current)
        os.fchmod(self._current, os.fstat(self._current).st_mode & 0o7777 | FINISHED)
        os.close(self._current)
        self._current = -1

    # Writing --------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """Where it stands now."""
        return Place(self._inode if self._current >= 0 else 0, self.size, self._at)

    @property
    def settled(self) -> bool:
        """All that was offered is written, and no rotation is under way."""
        return self._at == self._end and not self._steps

    def offer(self, block: bytes, head: bytes, skip: int = 0, most: int = 0) -> None:
        """Have BLOCK written, HEAD before each line; the first SKIP bytes of that are in the files already. TooMuch as `stamped`."""
        self._text = b""  # not both in memory
        self._text, self._end = stamped(head, block, most)
        self._at, self._fresh = min(skip, self._end), False

    def push(self) -> bool:
        """Write what can be written now; True when all that was offered is in the files."""
        return self._try(self._push) and self._at == self._end

    def _push(self) -> None:
        text, size = self._text, self._end
        while self._at < size:
            if self._steps and not self._advance():
                return
            if self._fresh:
                self._fresh = False
                self.moved()
            at, policy = self._at, self.policy
            end = rotate.piece(text, at, size, rotate.room(policy.size, policy.tolerance, self.size))
            count = os.write(self._current, memoryview(text)[at:end])
            self._at += count
            self.size += count
            if text[self._at - 1] == 10 and rotate.due(policy.size, policy.tolerance, self.size):
                self._begin_rotation()
        if self._steps:
            self._advance()

    def look(self) -> None:
        """Whether `current` is still the file of that name: somebody may have removed it, or the directory."""
        if self._current < 0 or self._steps or os.fstat(self._current).st_nlink:
            return
        say.warning(f"{self.path}: current was removed; beginning a new one")
        self._steps.append(self._remake)
        self._try(self._advance)

    def _remake(self) -> None:
        if not os.fstat(self.fd).st_nlink:
            os.close(self.fd)
            os.close(self._lock)
            self.open()
            self.remade()
        self._open()

    def _try(self, act: Callable[[], object]) -> bool:
        """Act; when the system says no, say so once, and come again later."""
        try:
            act()
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT) and self._archives.make_room(self.fd):
                return self._try(act)
            self.again = time.monotonic() + self.policy.retry
            reason = say.reason(error)
            if reason != self._said:
                self._said = reason
                seconds = self.policy.retry
                say.warning(f"unable to log to {self.path}: {reason}; trying again every {seconds:g} seconds")
            return False
        except Busy:
            self.again = time.monotonic() + self.policy.retry
            return False
        self.again, self._said = NEVER, ""
        return True

    # Rotation -------------------------------------------------------------------------------------

    def rotate(self) -> None:
        """Rotate now, unless there is nothing in `current` or a rotation is under way."""
        if not self._steps and self.size and self._current >= 0 and self._ends_with_newline():
            self._begin_rotation()
            self._try(self._advance)
        elif self.policy.period:
            self.rotate_at = time.monotonic() + self.policy.period
            self._archives.keep(self.fd)

    def bound(self, policy: Policy) -> None:
        """Keep to another policy from now on, with what is in the directory already as well."""
        self.policy = self._archives.policy = policy
        if self._steps or self._current < 0:
            return  # what is under way ends with a trim
        if rotate.due(policy.size, policy.tolerance, self.size):
            self.rotate()
        else:
            self._try(self._trim)

    def _ends_with_newline(self) -> bool:
        return self._at == 0 or self._text[self._at - 1] == 10

    def _begin_rotation(self) -> None:
        self.moved()
        self._steps = [self._sync, self._rename, self._open, self._mark]
        if self.policy.processor:
            from initfs.log.processor import steps

            self._steps += steps(self)
        else:
            self._steps += [lambda: self._archives.add(PREVIOUS, rotate.DONE, self.fd), self._trim]
        self._steps.append(lambda: self._archives.keep(self.fd))

    def _advance(self) -> bool:
        """Take the steps in order; False when one has to wait for a processor."""
        while self._steps:
            if self._steps[0]() is False:
                return False
            self._steps.pop(0)
        return True

    def _sync(self) -> None:
        os.fsync(self._current)

    def _rename(self) -> None:
        os.rename(CURRENT, PREVIOUS, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def _mark(self) -> None:
        mark(PREVIOUS, self.fd)

    def archive_processed(self) -> None:
        """The processor's output becomes the archive."""
        self._archives.add(PROCESSED, rotate.DONE, self.fd)
        self._trim()

    def _trim(self) -> None:
        self._archives.trim(self.fd)

    def retry(self) -> None:
        """Go on with what failed or waited."""
        self._try(self._advance)
