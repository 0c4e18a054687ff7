"""One input and its script: takes what comes, block by block, and has each block written before it takes the next.

Nothing grows: a block is at most a pipe's worth of lines, and while an action cannot take its share, the input waits in the pipe.
"""

from __future__ import annotations

import errno
import os
import time

from initfs import say, tai
from initfs.log import record
from initfs.log.inbox import AT_ONCE, Inbox, Memory, widen
from initfs.log.work import Work
from initfs.loop import NEVER
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.log.logdir import Logdir
    from initfs.log.route import Lines
    from initfs.log.script import Script

FIFO, KIND = 0o010000, 0o170000
NO_ROOM = 1.0  # seconds until a full disk is asked again for room for the inbox
BYTE = 1
FULL = AT_ONCE * 3 // 4  # bytes; a pipe's pages are not all full
BLOCKS = 8  # are taken from a pipe that is full before others have their turn
FOREVER = 1e18  # a moment that does not come
NO_INBOX = (errno.EINVAL, errno.ENOSPC, errno.EROFS, errno.EDQUOT)


@value
class Ways:
    """How lines are read: their limit (0: none), seconds to wait for the end of the last one, the labels' convention."""

    limit: int = 8192
    last_line: float = 2.0
    offset: int = tai.LEAP
    stamped: bool = False  # patterns see the label too
    table: bytes = b""  # what each byte is replaced by


class Stream:
    """What comes in on a descriptor, on its way to the actions of a script."""

    def __init__(
        self, fd: int, script: Script, ways: Ways, compile_: Callable[[str], Lines] | None = None
    ) -> None:
        """COMPILE_ is what Outputs says. BadScript for a wrong expression. Nothing is opened yet."""
        self.fd = fd
        self.ended = False  # nothing more will be taken
        self.failed = ""  # the log directory that could not be opened
        self.again = NEVER  # when to look again at the input
        self._ways = ways
        self._work = Work(script, ways, compile_)
        self._number = number_of(repr((script, ways)).encode())
        self._stopping = NEVER
        self._resting = False  # at the end, what is not yet a line stays for a successor

    # Beginning ------------------------------------------------------------------------------------

    def open(self, left_over: bytes = b"") -> None:
        """Open and mend all log directories, and write again what a killed logger had begun. Busy, OSError, and `failed` says which.

        LEFT_OVER is what a stream before this one had taken of a line, and had no inbox for.
        """
        dirs = self.dirs
        for logdir in dirs:
            self.failed = logdir.path
            logdir.open()
        self._work.source = Memory(left_over)
        if (
            dirs
            and not left_over
            and os.fstat(self.fd).st_mode & KIND == FIFO
            and len(self._work.out) <= record.PLACES_MAX
        ):
            self._open_inbox()
        if dirs:
            dirs[0].remade = lambda: self._work.source.move(dirs[0].fd)
        self._work.restore()
        self.work()

    def abandon(self) -> None:
        """Close what `open` has opened before it failed."""
        for logdir in self._work.out.dirs:
            logdir.abandon()

    @property
    def dirs(self) -> list[Logdir]:
        """The log directories of its script."""
        return self._work.out.dirs

    @property
    def left_over(self) -> bytes:
        """What was taken of a line when the stream was put to rest, unless it is in the inbox."""
        return self._work.source.data() if isinstance(self._work.source, Memory) else b""

    def _open_inbox(self) -> None:
        logdir = self._work.out.dirs[0]
        try:
            self._work.source = Inbox(logdir.fd, self._number)
            widen(self.fd)
        except OSError as error:
            if error.errno not in NO_INBOX:
                raise
            say.warning(f"{logdir.path}: no inbox: {say.reason(error)}; a kill may lose lines")

    # Taking ---------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Nothing is to be taken now: a block is in work, or all is over."""
        return self._work.busy or self.ended

    def take(self) -> None:
        """Take what has come in, and set to work; several blocks, as long as the pipe is full. Called when the input is readable."""
        for _ in range(BLOCKS):
            if self.waiting or self._take() < FULL or self._work.source.waits:
                return

    def _take(self) -> int:
        """Take a block, and set to work; how many bytes it has."""
        self.again = NEVER
        try:
            count = self._work.source.fill(self.fd, AT_ONCE if self._stopping == NEVER else BYTE)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._not_taken(error)
            return 0
        if not count:
            self.ended = True
        self.work()
        return count

    def _not_taken(self, error: OSError) -> None:
        """A file system that cannot splice is done without; one that is full gets room some time."""
        if error.errno == errno.EINVAL and isinstance(self._work.source, Inbox):
            say.warning(
                f"{self._work.out.dirs[0].path}: no splice(2) on this file system; a kill may lose lines"
            )
            self._work.source.close()
            self._work.source = Memory()
            return
        say.warning(f"unable to take lines: {say.reason(error)}; trying again every {NO_ROOM:g} seconds")
        self.again = time.monotonic() + NO_ROOM

    def work(self) -> None:
        """Have written what can be written."""
        while self._work.push():
            data = self._work.source.data()
            if not data or not self._work.begin(data, ended=self.ended and not self._resting):
                break
        if self._stopping != NEVER and not self._work.source.data():
            self.ended, self._stopping = True, NEVER

    # Time, signals, the end -----------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When something is to be done (monotonic seconds)."""
        return min(self.again, self._stopping, self._work.tell_at, self._work.out.due)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._work.out.tick(now)
        if self._work.tell_at <= now and not self._work.busy:
            self._work.tell()
        if self._stopping <= now:
            self.ended, self._stopping = True, NEVER
        if self.again <= now:
            self.take()
        self.work()

    def stop(self) -> None:
        """Take no more than the end of the line that has begun, and wait for that only so long."""
        if self.ended or self._stopping != NEVER:
            return
        self._stopping = time.monotonic() + self._ways.last_line if self._ways.last_line else FOREVER
        self.work()

    def rest(self) -> None:
        """End at once; a line that has begun stays in the inbox for the next stream."""
        self.ended = self._resting = True
        self.work()

    def rotate(self) -> None:
        """Rotate all log directories."""
        self._work.out.rotate()

    def died(self, pid: int, status: int) -> None:
        """A child is dead."""
        self._work.out.died(pid, status)
        self.work()

    def close(self) -> bool:
        """End cleanly, once `ended`: all is written and marked. False: not yet, come again when `due`."""
        self.work()
        if self._work.busy:
            return False
        if self._work.holding:
            self._work.tell()
        if not self._work.out.settled:
            self._work.out.push()
        if not self._work.out.settled:
            return False
        if isinstance(self._work.source, Inbox):
            self._work.source.close()
            self._work.source = Memory()
        return self._work.out.close()


def number_of(data: bytes) -> int:
    """FNV-1a, 64 bits: the same in every process, unlike `hash`."""
    number = 0xCBF29CE484222325
    for byte in data:
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number
