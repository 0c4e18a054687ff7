"""The privileged side of one connection: an order comes in, a program is started, its end is reported. In a loop, without waiting.

`sudod` has one of them; a server that runs its orders from its own warm interpreter (`sudo.server`) has many in one loop.
"""

from __future__ import annotations

import errno
import os

from initfs import loop, process, say, signals
from initfs.local import sockets
from initfs.local.sudo import protocol
from initfs.local.wire import Malformed, Reassembly
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from initfs.local.sudo.protocol import Order


@value
class Manner:
    """DEADLINE (monotonic): the order must be whole by then. DETACHED: the client may go before the program's end."""

    deadline: float = loop.NEVER
    detached: bool = False


class Session:
    """START(order) returns the pid of a child of ours, or raises OSError or Fatal; it is called once, and its descriptors are closed
    afterwards. OVER(session) is called at the end; `good` says whether the client was served to the end.
    """

    def __init__(
        self,
        around: loop.Loop,
        reading: socket,
        writing: socket,
        start: Callable[[Order], int],
        over: Callable[[Session], None],
        manner: Manner,
    ) -> None:
        self.pid = 0
        self.good = False
        self.deadline = manner.deadline
        self._detached = manner.detached
        self._loop, self._reading, self._writing = around, reading, writing
        self._start, self._over = start, over
        self._reassembly = Reassembly(protocol.BODY_MAX, protocol.DESCRIPTORS)
        self._connected = True
        reading.setblocking(False)
        self._loop.watch(reading.fileno(), self._readable)
        self._say(protocol.HELLO)

    def died(self, status: int) -> None:
        """The program has ended with this wait STATUS: report it."""
        self.pid = 0
        self._say(protocol.ended(status))
        self.close(good=self._connected or self._detached)

    def expired(self) -> None:
        """The deadline has come: nothing will be run. After the start there is none."""
        say.warning("no whole order in time")
        self.close()

    def close(self, *, good: bool = False) -> None:
        """End the conversation. A program that runs goes on."""
        self.good = good
        self._hang_up()
        self._over(self)

    def _readable(self) -> None:
        """The client speaks, or has gone."""
        try:
            came = sockets.receive(
                self._reading, min(sockets.MOST, max(sockets.CHUNK, self._reassembly.missing()))
            )
            if came is None:
                return
            if not came[0] or self.pid:
                for fd in came[1]:
                    os.close(fd)
                self._gone()
                return
            messages = self._reassembly.feed(*came)
            for message in messages[:1]:
                self._ordered(message.body, message.descriptors)
            for message in messages[1:]:
                for fd in message.descriptors:
                    os.close(fd)
        except (OSError, Malformed) as error:
            say.warning(f"client: {say.reason(error) if isinstance(error, OSError) else error}")
            self._gone()

    def _ordered(self, body: bytes, descriptors: tuple[int, ...]) -> None:
        """Run what is asked for, and say whether it runs."""
        try:
            order = protocol.decode(body, descriptors)
            self.pid = self._start(order)
            failure = 0
        except OSError as error:
            failure = error.errno or errno.EIO
        except Malformed:
            raise
        except Exception as error:  # noqa: BLE001 # one client's trouble is not the others'
            say.warning(str(error) if isinstance(error, say.Fatal) else f"bug: {say.describe(error)}")
            failure = errno.EIO
        finally:
            for fd in descriptors:
                os.close(fd)
        self.deadline = loop.NEVER
        self._say(protocol.started(failure))
        if failure:
            self.close(good=True)

    def _gone(self) -> None:
        """The client has gone, or makes no sense: its program is asked to end, unless it was to go on."""
        self._hang_up()
        if not self.pid:
            self._over(self)
        elif not self._detached:
            process.kill(self.pid, signals.TERM)
            process.kill(self.pid, signals.CONT)

    def _hang_up(self) -> None:
        if not self._connected:
            return
        self._connected = False
        for fd in self._reassembly.abandon():
            os.close(fd)
        self._loop.forget(self._reading.fileno())
        self._reading.close()
        if self._writing is not self._reading:
            self._writing.close()

    def _say(self, data: bytes) -> None:
        """A few bytes: they fit into an empty buffer. A client that has gone is noticed by reading."""
        if not self._connected:
            return
        try:
            sockets.send(self._writing, data)
        except OSError:
            return
