"""One input and its script: takes what comes, block by block, and has each block written before it takes the next.

Nothing grows: a block is at most a pipe's worth of lines, and while an action cannot take its share, the input waits in the pipe.
"""

from __future__ import annotations

import errno
import os
import time

from initfs import say, tai
from initfs.log import lines, record, stamp
from initfs.log.inbox import AT_ONCE, Inbox, Memory, widen
from initfs.log.outputs import Outputs
from initfs.loop import NEVER
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.log.limits import Limits
    from initfs.log.logdir import Logdir
    from initfs.log.route import Lines
    from initfs.log.script import Script

FIFO, KIND = 0o010000, 0o170000
TELL = 10.0  # seconds until it is told how often the last line was repeated
NO_ROOM = 1.0  # seconds until a full disk is asked again for room for the inbox
BYTE = 1
FOREVER = 1e18  # a moment that does not come
NO_INBOX = (errno.EINVAL, errno.ENOSPC, errno.EROFS, errno.EDQUOT)
HELD = 1 << 63  # a line is unended, and goes to the actions whose bits are set beside this one


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
        self._out = Outputs(script, ways.offset, compile_)
        self._none = [0] * len(self._out)
        self._source: Inbox | Memory = Memory()
        self._number = number_of(repr((script, ways)).encode())
        self._used = 0  # raw bytes of the block in work
        self._stamp = 0
        self._held = 0
        self._before = (0, b"")  # what was held, and what the limits knew, when the block in work began
        self._stopping = self._tell_at = NEVER
        self._resting = False  # at the end, what is not yet a line stays for a successor
        self._limits: Limits | None = None
        if script.rate or script.fold:
            from initfs.log.limits import Limits

            self._limits = Limits(script.rate, fold=script.fold)

    # Beginning ------------------------------------------------------------------------------------

    def open(self, left_over: bytes = b"") -> None:
        """Open and mend all log directories, and write again what a killed logger had begun. Busy, OSError, and `failed` says which.

        LEFT_OVER is what a stream before this one had taken of a line, and had no inbox for.
        """
        dirs = self._out.dirs
        for logdir in dirs:
            self.failed = logdir.path
            logdir.open()
        self._source = Memory(left_over)
        if (
            dirs
            and not left_over
            and os.fstat(self.fd).st_mode & KIND == FIFO
            and len(self._out) <= record.PLACES_MAX
        ):
            self._open_inbox()
        left, known = self._source.left, self._source.same_script
        self._held = left.held if left is not None and known else 0
        if left is not None and self._limits is not None:
            self._limits.restore(left.state)
        places = self._places_left()
        self._out.restore(places, resume=bool(self._held))
        for logdir in dirs:
            logdir.moved = self._note
        if dirs:
            dirs[0].remade = lambda: self._source.move(dirs[0].fd)
        if left is not None and self._source.block_left:
            self._write_again(left, [place.placed if place and known else 0 for place in places])
        self.work()

    def abandon(self) -> None:
        """Close what `open` has opened before it failed."""
        for logdir in self._out.dirs:
            logdir.abandon()

    @property
    def dirs(self) -> list[Logdir]:
        """The log directories of its script."""
        return self._out.dirs

    @property
    def left_over(self) -> bytes:
        """What was taken of a line when the stream was put to rest, unless it is in the inbox."""
        return self._source.data() if isinstance(self._source, Memory) else b""

    def _open_inbox(self) -> None:
        logdir = self._out.dirs[0]
        try:
            self._source = Inbox(logdir.fd, self._number)
            widen(self.fd)
        except OSError as error:
            if error.errno not in NO_INBOX:
                raise
            say.warning(f"{logdir.path}: no inbox: {say.reason(error)}; a kill may lose lines")

    def _places_left(self) -> list[record.Place | None]:
        left = self._source.left
        if left is None or not self._source.block_left or len(left.places) != len(self._out):
            return [None] * len(self._out)
        return list(left.places)

    def _write_again(self, left: record.Record, skips: list[int]) -> None:
        """The block that was in work, with the stamp that it had, except what of it is in archives already."""
        data = self._source.data()[: left.end - left.start]
        cut = lines.cut(data, self._ways.limit)
        if cut.used < len(data):  # its last line was split, or the input had ended
            cut = lines.cut(data, self._ways.limit, ended=True)
        self._begin(cut, left.stamp, skips)

    # Taking ---------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Nothing is to be taken now: a block is in work, or all is over."""
        return bool(self._used) or self.ended

    def take(self) -> None:
        """Take what has come in, and set to work. Called when the input is readable."""
        if self.waiting:
            return
        self.again = NEVER
        try:
            count = self._source.fill(self.fd, AT_ONCE if self._stopping == NEVER else BYTE)
        except BlockingIOError:
            return
        except OSError as error:
            self._not_taken(error)
            return
        if not count:
            self.ended = True
        self.work()

    def _not_taken(self, error: OSError) -> None:
        """A file system that cannot splice is done without; one that is full gets room some time."""
        if error.errno == errno.EINVAL and isinstance(self._source, Inbox):
            say.warning(f"{self._out.dirs[0].path}: no splice(2) on this file system; a kill may lose lines")
            self._source.close()
            self._source = Memory()
            return
        say.warning(f"unable to take lines: {say.reason(error)}; trying again every {NO_ROOM:g} seconds")
        self.again = time.monotonic() + NO_ROOM

    def work(self) -> None:
        """Have written what can be written."""
        while self._pushed():
            data = self._source.data()
            ended = self.ended and not self._resting
            cut = lines.cut(data, self._ways.limit, ended=ended) if data else lines.NOTHING
            if not cut.used:
                break
            self._begin_bounded(cut, data)
        if self._stopping != NEVER and not self._source.data():
            self.ended, self._stopping = True, NEVER

    def _begin_bounded(self, cut: lines.Cut, data: bytes) -> None:
        """Begin a block. One of very short lines grows by its stamps, and is taken in parts; the end of an unended line goes its own way."""
        moment, skips = time.time_ns(), self._none
        if self._held:
            used = data.find(b"\n") + 1
            self._begin(lines.cut(data[:used], 0) if used else cut, moment, skips)
            return
        size = cut.used
        while True:
            try:
                self._begin(cut, moment, skips)
                break
            except stamp.TooMuch:
                size //= 2
                smaller = lines.cut(data[:size], self._ways.limit)
                cut = smaller if smaller.used else lines.cut(data[: data.find(b"\n") + 1], self._ways.limit)

    def _begin(self, cut: lines.Cut, moment: int, skips: list[int]) -> None:
        """Hand a block to the actions. stamp.TooMuch: it is not begun."""
        self._before = before = (self._held, self._state())
        block = cut.block.translate(self._ways.table) if self._ways.table else cut.block
        if self._limits is not None:
            block = self._limits.pass_on(block, moment)
        self._out.look()
        try:
            if self._ways.stamped and not self._held:
                block = stamp.before_each(stamp.label(moment, self._ways.offset), block)
            texts = self._out.shares(block, self._held)
            self._out.offer(texts, moment, skips, stamped=not self._held)
        except stamp.TooMuch:
            if self._limits is not None:
                self._limits.restore(before[1])
            raise
        self._used, self._stamp = cut.used, moment
        self._note()
        if self._limits is not None:
            self._tell_at = time.monotonic() + TELL if self._limits.holding else NEVER
        if not cut.open:
            self._held = 0
        elif not self._held:
            self._held = HELD | sum(1 << index for index, text in enumerate(texts) if text)

    def _pushed(self) -> bool:
        """Whether all that is in work is written."""
        if not self._used:
            return True
        if not self._out.push():
            return False
        used, self._used = self._used, 0
        self._source.done(used, self._held, self._state())
        return True

    def _state(self) -> bytes:
        return b"" if self._limits is None else self._limits.state()

    def _note(self) -> None:
        """Record where things stand: a block begins, or a log directory begins another file in the midst of it."""
        if self._used:
            held, state = self._before
            self._source.note(self._used, max(self._stamp, 0), held, self._out.places(), state)
        else:
            self._source.note(0, 0, self._held, (), self._state())

    # Time, signals, the end -----------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When something is to be done (monotonic seconds)."""
        return min(self.again, self._stopping, self._tell_at, self._out.due)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._out.tick(now)
        if self._tell_at <= now and not self._used:
            self._tell()
        if self._stopping <= now:
            self.ended, self._stopping = True, NEVER
        if self.again <= now:
            self.take()
        self.work()

    def _tell(self) -> None:
        """Write what the limits have held back; it is no part of a block."""
        text = self._limits.tell() if self._limits is not None else b""
        self._tell_at = NEVER
        if text:
            self._out.offer(self._out.shares(text, 0), time.time_ns(), self._none)
            self._out.push()

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
        self._out.rotate()

    def died(self, pid: int, status: int) -> None:
        """A child is dead."""
        self._out.died(pid, status)
        self.work()

    def close(self) -> bool:
        """End cleanly, once `ended`: all is written and marked. False: not yet, come again when `due`."""
        self.work()
        if self._used:
            return False
        if self._limits is not None and self._limits.holding:
            self._tell()
        if not self._out.settled:
            self._out.push()
        if not self._out.settled:
            return False
        if isinstance(self._source, Inbox):
            self._source.close()
            self._source = Memory()
        return self._out.close()


def number_of(data: bytes) -> int:
    """FNV-1a, 64 bits: the same in every process, unlike `hash`."""
    number = 0xCBF29CE484222325
    for byte in data:
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number
