"""The actions of a script at work: each gets its share of a block, and says when all of it is written."""

from __future__ import annotations

import os
import time

from initfs import tai
from initfs.log import sinks, stamp
from initfs.log.logdir import Logdir
from initfs.log.route import Route
from initfs.log.script import ALERT, DIRECTORY, OUT, STATUS, STDERR, UDP, BadScript
from initfs.loop import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from initfs.log.expression import Expression
    from initfs.log.record import Place
    from initfs.log.route import Lines
    from initfs.log.script import Action, Script

    Sink: TypeAlias = Logdir | sinks.Sink

START = 32  # bytes that an alert begins with, at most
SINKS = {OUT: sinks.Out, ALERT: sinks.Alert, STATUS: sinks.Status, STDERR: sinks.Stderr}


class Outputs:
    """All that the lines of one input go to."""

    def __init__(
        self, script: Script, offset: int = tai.LEAP, compile_: Callable[[str], Lines] | None = None
    ) -> None:
        """OFFSET is the labels' convention; COMPILE_ makes of a pattern what finds lines, an expression if there is none.

        BadScript for a wrong pattern. Nothing is opened yet.
        """
        self._route = Route(script.steps, compile_ or _expression)
        self._offset = offset
        self._prefixes = [os.fsencode(action.prefix) for action in script.actions]
        self._sinks: list[Sink] = [_sink(action, offset) for action in script.actions]
        self.dirs = [sink for sink in self._sinks if isinstance(sink, Logdir)]

    def __len__(self) -> int:
        """Return the number of actions."""
        return len(self._sinks)

    def restore(self, places: list[Place | None], *, resume: bool) -> None:
        """Mend the log directories, as Logdir.restore does. OSError."""
        for sink, place in zip(self._sinks, places, strict=True):
            if isinstance(sink, Logdir):
                sink.restore(place, resume=resume)

    def look(self) -> None:
        """See whether the log directories are still there."""
        for logdir in self.dirs:
            logdir.look()

    def shares(self, block: bytes, held: int) -> list[bytes]:
        """What each action gets of a block; a piece of a line goes to those that are HELD for it, if there are any."""
        if not held:
            return self._route.block(block)
        return [block if held >> index & 1 else b"" for index in range(len(self._sinks))]

    def offer(
        self, texts: list[bytes], moment: int, skips: list[int], most: int = 0, *, stamped: bool = True
    ) -> None:
        """Have the shares written, stamped with MOMENT (nanoseconds), without the first SKIPS bytes of each.

        stamp.TooMuch: one would grow by more than MOST bytes; nothing has been written. 0: by any number.
        """
        calendar = time.localtime(moment // stamp.NANO)
        rows = zip(self._sinks, self._route.actions, self._prefixes, texts, skips, strict=True)
        for sink, action, prefix, text, skip in rows:
            head = _stamps(action, moment, calendar, self._offset) + prefix if stamped else b""
            sink.offer(text, head, skip, most)

    def widest(self) -> int:
        """How many bytes are put before a line at most."""
        calendar = time.gmtime(0)
        stamps = [_stamps(action, 0, calendar, self._offset) for action in self._route.actions]
        starts = [START if action.kind in (ALERT, STDERR) else 0 for action in self._route.actions]
        rows = zip(starts, stamps, self._prefixes, strict=True)
        return max((start + len(head) + len(prefix) for start, head, prefix in rows), default=0)

    def push(self) -> bool:
        """Write what can be written; whether it was all."""
        done = True
        for sink in self._sinks:  # each, whatever the others do
            done = sink.push() and done
        return done

    def places(self) -> tuple[Place, ...]:
        """Where each stands."""
        return tuple([sink.place for sink in self._sinks])

    @property
    def due(self) -> float:
        """When something is to be tried again, or rotated (monotonic seconds)."""
        return min([min(sink.again, sink.rotate_at) for sink in self._sinks], default=NEVER)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for sink in self._sinks:
            if sink.again <= now:
                sink.retry()
            if sink.rotate_at <= now:
                sink.rotate()

    def rotate(self) -> None:
        """Rotate all log directories."""
        for sink in self._sinks:
            sink.rotate()

    def died(self, pid: int, status: int) -> None:
        """A child is dead; if it is a processor of ours, its directory goes on."""
        for logdir in self.dirs:
            if logdir.child == pid and logdir.processor is not None:
                logdir.processor.died(status)
                logdir.retry()

    @property
    def settled(self) -> bool:
        """All is written, and no rotation is under way."""
        return all(sink.settled for sink in self._sinks)

    def close(self) -> bool:
        """End cleanly; False: not yet, come again when due."""
        while self._sinks and self._sinks[-1].close():
            self._sinks.pop()
        return not self._sinks


def _sink(action: Action, offset: int) -> Sink:
    if action.kind == DIRECTORY:
        return Logdir(action.path, action.policy, offset)
    if action.kind == UDP:
        from initfs.log.udp import Udp

        return Udp(action)
    return SINKS[action.kind](action)


def _expression(pattern: str) -> Expression:
    from initfs.log.expression import Expression

    try:
        return Expression(pattern)
    except ValueError as error:
        raise BadScript(f"{pattern}: {error}") from None


def _stamps(action: Action, moment: int, calendar: time.struct_time, offset: int) -> bytes:
    """What goes before each line of an action, and before its prefix."""
    head = stamp.label(moment, offset) if action.tai else b""
    if action.local:
        head += stamp.local(calendar, moment)
    if action.human:
        head += stamp.human(time.gmtime(moment // stamp.NANO), moment, action.human)
    return head
