"""ioconnect: be a full-duplex cable: standard input to descriptor 7, descriptor 6 to standard output, until both end.

Source: `spec/chainloading.md` 3.5. Between them a buffer each way, so that one slow side does not stop the other direction.
"""

from __future__ import annotations

import os
from errno import EPERM

from initfs import loop, options, say, signals
from initfs.chain import descriptors

USAGE = "ioconnect [-t ms] [-r fd] [-w fd]"
ROOM = 65536
_SHUT_RD, _SHUT_WR = 0, 1


class Flow:
    """One direction: what was read and not yet written, and whether the end has been read."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.buffer = bytearray()
        self.ended = self.done = False

    def read(self) -> None:
        """Take what there is. An error of the source is its end."""
        try:
            data = os.read(self.source, ROOM - len(self.buffer))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.buffer += data
        self.ended = self.ended or not data

    def write(self) -> None:
        """Give what goes. A sink that takes nothing any more ends the flow, and its source is told."""
        try:
            del self.buffer[: os.write(self.sink, self.buffer)]
        except BlockingIOError:
            return
        except OSError:
            self.buffer.clear()
            self.ended = True
            _shut(self.source, _SHUT_RD)

    @property
    def reading(self) -> bool:
        return not self.ended and len(self.buffer) < ROOM

    @property
    def writing(self) -> bool:
        return bool(self.buffer)

    def finish(self) -> bool:
        """Once all is written, close both ends; True then."""
        if self.ended and not self.buffer and not self.done:
            self.done = True
            _shut(self.sink, _SHUT_WR)
            descriptors.close(self.sink)
            descriptors.close(self.source)
        return self.done


class Cable:
    """Both flows in one loop. A regular file cannot be waited for (EPERM) and need not be: it is always ready."""

    def __init__(self, flows: tuple[Flow, ...]) -> None:
        self.flows = flows
        self.loop = loop.Loop()
        self.watched: dict[int, int] = {}
        self.ready: list[Flow] = []
        self.moved = loop.now()
        self.loop.on_signals(self._end, signals.TERM)
        signals.ignore(signals.PIPE)

    def run(self, patience: float) -> int:
        """Until both flows are done: 0; until nothing has moved for PATIENCE seconds: 1."""
        while not all([flow.finish() for flow in self.flows]):
            at_once = self._watch()
            deadline = self.moved + patience
            self.loop.turn(0 if at_once else deadline)
            for call in at_once:
                call()
            if loop.now() >= deadline:
                return say.NO
        return say.OK
