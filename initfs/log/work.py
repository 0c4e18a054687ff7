"""The block in work: which lines it has, where they go, and what a successor has to know to do it again.

A block is begun, then pushed until all of it is written, and done with; only then the next one is begun.
"""

from __future__ import annotations

import time

from initfs.log import lines, stamp
from initfs.log.inbox import Memory
from initfs.log.outputs import Outputs
from initfs.loop import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.log.inbox import Inbox
    from initfs.log.limits import Limits
    from initfs.log.record import Place, Record
    from initfs.log.route import Lines
    from initfs.log.script import Script
    from initfs.log.stream import Ways

TELL = 10.0  # seconds until it is told how often the last line was repeated
GROWTH = 1 << 18  # bytes that stamps may add to a block
HELD = 1 << 63  # a line is unended, and goes to the actions whose bits are set beside this one


class Work:
    """A block on its way from the source to the actions of a script."""

    def __init__(self, script: Script, ways: Ways, compile_: Callable[[str], Lines] | None) -> None:
        """COMPILE_ is what Outputs says. BadScript for a wrong expression. Nothing is opened yet."""
        self.out = Outputs(script, ways.offset, compile_)
        self.source: Inbox | Memory = Memory()
        self.tell_at = NEVER  # when `tell` is due
        self._ways = ways
        self._none = [0] * len(self.out)
        self._lines_max = GROWTH
        self._short = False  # the last lines were so short that only a part of them was taken
        self._used = 0  # raw bytes of the block
        self._stamp = 0
        self._held = 0
        self._before = (0, b"")  # what was held, and what the limits knew, when the block began
        self._limits: Limits | None = None
        if script.rate or script.fold:
            from initfs.log.limits import Limits

            self._limits = Limits(script.rate, fold=script.fold)

    @property
    def busy(self) -> bool:
        """A block is in work."""
        return bool(self._used)

    @property
    def holding(self) -> bool:
        """The limits hold something back that is to be told."""
        return self._limits is not None and self._limits.holding

    # Beginning ------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take up what the source has from a killed logger: mend the log directories, and begin its block again. OSError."""
        source = self.source
        self._lines_max = max(GROWTH // self._widest(), 1)
        left, known = source.left, source.same_script
        self._held = left.held if left is not None and known else 0
        if left is not None and self._limits is not None:
            self._limits.restore(left.state)
        places = self._places(left)
        self.out.restore(places, resume=bool(self._held))
        for logdir in self.out.dirs:
            logdir.moved = self.note
        if left is not None and source.block_left:
            self._again(left, [place.placed if place and known else 0 for place in places])

    def _widest(self) -> int:
        label = len(stamp.label(0)) if self._ways.stamped else 0
        return max(self.out.widest() + label, 1)

    def _places(self, left: Record | None) -> list[Place | None]:
        if left is None or not self.source.block_left or len(left.places) != len(self.out):
            return [None] * len(self.out)
        return list(left.places)

    def _again(self, left: Record, skips: list[int]) -> None:
        """The block that was in work, with the stamp that it had, except what of it is in archives already."""
        data = self.source.data()[: left.end - left.start]
        cut = lines.cut(data, self._ways.limit)
        if cut.used < len(data):  # its last line was split, or the input had ended
            cut = lines.cut(data, self._ways.limit, ended=True)
        self._begin(cut, left.stamp, skips)

    def begin(self, data: bytes, *, ended: bool) -> bool:
        """Begin a block with the lines that can be told of DATA now, with ENDED all of it; False: there are none."""
        cut = lines.cut(data, self._ways.limit, ended=ended)
        if not cut.used:
            return False
        moment = time.time_ns()
        if self._held:  # the end of an unended line goes its own way
            begin = lines.first(data)
            self._begin(lines.cut(begin, 0) if begin else cut, moment, self._none)
        elif self._short or not self._tried(cut, moment):
            part = lines.fewer(cut, data, self._ways.limit, self._lines_max)
            self._short = part is not cut
            self._begin(part, moment, self._none)
        return True

    def _tried(self, cut: lines.Cut, moment: int) -> bool:
        """Begin a block, unless it would grow too much: seldom does one, and it costs less to try than to count its lines."""
        state = self._state()
        try:
            self._begin(cut, moment, self._none, GROWTH)
        except stamp.TooMuch:
            if self._limits is not None:
                self._limits.restore(state)
            return False
        return True

    def _begin(self, cut: lines.Cut, moment: int, skips: list[int], most: int = 0) -> None:
        """Hand a block to the actions. stamp.TooMuch, as Outputs.offer: it is not begun."""
        self._before = (self._held, self._state())
        block = cut.block.translate(self._ways.table) if self._ways.table else cut.block
        if self._limits is not None:
            block = self._limits.pass_on(block, moment)
        self.out.look()
        if self._ways.stamped and not self._held:
            block = stamp.before_each(stamp.label(moment, self._ways.offset), block, most)
        texts = self.out.shares(block, self._held)
        self.out.offer(texts, moment, skips, most, stamped=not self._held)
        self._used, self._stamp = cut.used, moment
        self.note()
        if self._limits is not None:
            self.tell_at = time.monotonic() + TELL if self._limits.holding else NEVER
        if not cut.open:
            self._held = 0
        elif not self._held:
            self._held = HELD | sum(1 << index for index, text in enumerate(texts) if text)

    # Ending ---------------------------------------------------------------------------------------

    def push(self) -> bool:
        """Write what can be written of it; whether there is no block in work any more."""
        if not self._used:
            return True
        if not self.out.push():
            return False
        used, self._used = self._used, 0
        self.source.done(used, self._held, self._state())
        return True

    def _state(self) -> bytes:
        return b"" if self._limits is None else self._limits.state()

    def note(self) -> None:
        """Record where things stand: a block begins, or a log directory begins another file in the midst of it."""
        if self._used:
            held, state = self._before
            self.source.note(self._used, max(self._stamp, 0), held, self.out.places(), state)
        else:
            self.source.note(0, 0, self._held, (), self._state())

    def tell(self) -> None:
        """Write what the limits have held back; it is no part of a block."""
        text = self._limits.tell() if self._limits is not None else b""
        self.tell_at = NEVER
        if text:
            self.out.offer(self.out.shares(text, 0), time.time_ns(), self._none)
            self.out.push()
