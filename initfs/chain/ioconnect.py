"""ioconnect: be a full-duplex cable: standard input to descriptor 7, descriptor 6 to standard output, until both end.

Source: `spec/chainloading.md` 3.5. A buffer each way, so that one slow side does not stop the other direction.
"""

from __future__ import annotations

import os

from initfs import loop, options, say, signals
from initfs.chain import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = "ioconnect [-t ms] [-r fd] [-w fd]"
ROOM = 65536
_SHUT_RD, _SHUT_WR = 0, 1
_KIND, _SOCKET = 0o170000, 0o140000


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "t:r:w:0167", USAGE)
    if rest:
        raise say.usage(USAGE)
    given = dict(found)
    patience = options.number(given.get("t", "0"), USAGE) / 1000 or loop.NEVER
    pairs = (
        (0, descriptors.number(given.get("w", "7"), USAGE)),
        (descriptors.number(given.get("r", "6"), USAGE), 1),
    )
    try:
        flows = [Flow(os.dup(source), os.dup(sink)) for source, sink in pairs]
    except OSError as error:
        raise say.unable("use the descriptors", error) from None
    terminals = [os.dup(fd) for pair in pairs for fd in pair if os.isatty(fd)]
    for fd in {fd for pair in pairs for fd in pair}:
        descriptors.close(fd)
    try:
        return Cable(flows).run(patience)
    finally:
        for fd in terminals:  # whoever shares the terminal does not expect it to be non-blocking
            os.set_blocking(fd, True)


class Flow:
    """One direction: what was read and not yet written, and whether the end has been read."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.buffer = bytearray()
        self.ended = self.done = False
        os.set_blocking(source, False)
        os.set_blocking(sink, False)

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
        """Give what is taken. A sink that takes nothing any more ends the flow, and its source is told."""
        try:
            del self.buffer[: os.write(self.sink, self.buffer)]
        except BlockingIOError:
            return
        except OSError:
            self.buffer.clear()
            self.ended = True
            _shut(self.source, _SHUT_RD)

    def waits(self) -> tuple[tuple[int, bool, Callable[[], None], int], ...]:
        """(descriptor, whether it matters now, what to call when it is ready, which readiness) of both ends."""
        return (
            (self.source, not self.ended and len(self.buffer) < ROOM, self.read, loop.READ),
            (self.sink, bool(self.buffer), self.write, loop.WRITE),
        )

    def finish(self) -> None:
        """Once all is written, close both ends, and be done."""
        if self.ended and not self.buffer and not self.done:
            self.done = True
            _shut(self.sink, _SHUT_WR)
            os.close(self.sink)
            os.close(self.source)


class Cable:
    """Both flows in one loop. A regular file cannot be waited for, epoll(7), and need not be: it is always ready."""

    def __init__(self, flows: list[Flow]) -> None:
        self.flows = flows
        self.loop = loop.Loop()
        self.watched: set[int] = set()
        self.always_ready: set[int] = set()
        self.moved = loop.now()
        self.loop.on_signals(self._end, signals.TERM)
        signals.ignore(signals.PIPE)

    def run(self, patience: float) -> int:
        """Until both flows are done: 0; until nothing has moved for PATIENCE seconds: 1."""
        while True:
            calls = [call for flow in self.flows if not flow.done for call in self._watch(flow)]
            for flow in self.flows:
                flow.finish()
            if all(flow.done for flow in self.flows):
                return say.OK
            self.loop.turn(0.0 if calls else self.moved + patience)
            for call in calls:
                self._move(call)
            if loop.now() >= self.moved + patience:
                return say.NO

    def _watch(self, flow: Flow) -> list[Callable[[], None]]:
        """Watch what matters now and nothing else; what is ready without being watched is returned."""
        calls = []
        for fd, matters, call, events in flow.waits():
            if matters and fd in self.always_ready:
                calls.append(call)
            elif matters and fd not in self.watched:
                try:
                    self.loop.watch(fd, lambda call=call: self._move(call), events)  # type: ignore[misc]
                    self.watched.add(fd)
                except PermissionError:
                    self.always_ready.add(fd)
                    calls.append(call)
            elif not matters and fd in self.watched:
                self.loop.forget(fd)
                self.watched.discard(fd)
        return calls

    def _move(self, call: Callable[[], None]) -> None:
        self.moved = loop.now()
        call()

    def _end(self, _signum: int) -> None:
        for flow in self.flows:
            flow.ended = True


def _shut(fd: int, how: int) -> None:
    """shutdown(2), if this is a socket: its other side must see the end even when somebody else holds the socket too."""
    if os.fstat(fd).st_mode & _KIND != _SOCKET:
        return
    import _socket

    socket = _socket.socket(fileno=fd)
    try:
        socket.shutdown(how)
    except OSError:
        return
    finally:
        socket.detach()
