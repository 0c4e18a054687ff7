"""The oneshot runner's end of its kept connections: orders come in, scripts are begun a few at a time, answers go out.

    server = Server(around, listener, admit, begin, most)
    around.turn(server.retry); server.work()

A few at a time, because a start takes as long as fifty looks around: those that have ended are reaped, and a client that has gone is
noticed, in between. What is not read yet stays in the socket, whose other end waits when it is full.
"""

from __future__ import annotations

import os
from errno import EIO, ETIMEDOUT

from initfs import loop, say
from initfs.local import sockets
from initfs.local.door import Door
from initfs.local.wire import Malformed
from initfs.manager.orders import GREETING, Records, mark, of_another_version, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket
    from typing import TypeAlias

    from initfs.local.sockets import Peer

    Begin: TypeAlias = Callable[[int, int, int, Sequence[int]], int]

CLIENTS = 40
AT_ONCE = 8  # scripts that are begun before the next look around
STANDARD, WHOLE = 3, 4  # descriptors of a client that its scripts get, and with that for its marks
CHUNK = 1 << 16  # bytes: with most of what there is, that the client has gone is seen in the next turn


class Server:
    """ADMIT(peer) says who may order. BEGIN(which, number, milliseconds, descriptors) starts a script and returns its pid, or raises OSError.
    At most MOST scripts at a time.
    """

    def __init__(
        self, around: loop.Loop, listener: socket, admit: Callable[[Peer], bool], begin: Begin, most: int
    ) -> None:
        self._loop, self._admit, self._begin, self._most = around, admit, begin, most
        self.outdated = False  # a client speaks another version of our language
        self._clients: set[Client] = set()
        self._scripts: dict[int, tuple[Client, int]] = {}  # pid: who is to be told, of which service
        self._door = Door(around, listener, lambda: len(self._clients) < CLIENTS, self._entered)
        self._door.update()

    @property
    def retry(self) -> float:
        """When it is to have its turn though nothing comes."""
        return 0.0 if self._room() and any(client.pending for client in self._clients) else self._door.retry

    def work(self) -> None:
        """Begin some of what is to be begun, and send the answers."""
        self._door.tick(loop.now())
        for client in list(self._clients):
            for _ in range(AT_ONCE):
                if not client.pending or not self._room():
                    break
                self._start(client, *client.pending.pop(0))
            client.flush()

    def held(self) -> list[int]:
        """What a copy of this process must not keep open: a client would take it for us when we have gone."""
        return [fd for client in self._clients for fd in (client.fd, *client.descriptors)]

    def died(self, pid: int, status: int) -> bool:
        """A child has been reaped; whether it was a script of ours."""
        return self._answer(pid, 0, status)

    def late(self, pid: int) -> None:
        """A script, if it is ours, is not over in time, and its client need not wait for its end."""
        self._answer(pid, ETIMEDOUT, 0)

    def _answer(self, pid: int, errno: int, status: int) -> bool:
        client, number = self._scripts.pop(pid, (None, 0))
        if client is not None:
            client.answer(number, errno, status)
        return client is not None

    def _room(self) -> bool:
        return len(self._scripts) < self._most

    def _start(self, client: Client, which: int, number: int, milliseconds: int) -> None:
        try:
            client.mark(number, which)
            pid = self._begin(which, number, milliseconds, client.descriptors[:STANDARD])
            self._scripts[pid] = client, number
        except OSError as error:
            client.answer(number, error.errno or EIO, 0)
        except Exception as error:  # noqa: BLE001 # one script's trouble is not the others'
            say.warning(str(error) if isinstance(error, say.Fatal) else f"bug: {say.describe(error)}")
            client.answer(number, EIO, 0)

    def _entered(self, fd: int, _: str) -> None:
        connection = sockets.of(fd)
        try:
            welcome = self._admit(sockets.peer(connection))
        except OSError as error:
            say.warning(f"unable to know a client: {say.reason(error)}")
            welcome = False
        if welcome:
            self._clients.add(Client(self._loop, connection, self._gone))
        else:
            connection.close()

    def _gone(self, client: Client) -> None:
        self.outdated = self.outdated or client.foreign
        self._clients.discard(client)
        self._door.update()


class Client:
    """One connection: what is to be begun for it, and what it is to be told. GONE(client) is called at its end."""

    MOST = 1024  # orders that are read before they can be begun

    def __init__(self, around: loop.Loop, connection: socket, gone: Callable[[Client], None]) -> None:
        self.pending: list[tuple[int, int, int]] = []
        self.descriptors: list[int] = []
        self.foreign = False
        self._loop, self._connection, self._gone = around, connection, gone
        self._records = Records()
        self._greeted = b""
        self._answers: list[bytes] = []
        self._open = True
        self._watched = loop.READ
        self.fd = connection.fileno()
        connection.setblocking(False)
        around.watch(self.fd, self._ready)

    def mark(self, number: int, which: int) -> None:
        """Let it see, even if we die now, that this script has begun. OSError."""
        os.pwrite(self.descriptors[STANDARD], mark(which), number)

    def answer(self, number: int, errno: int, status: int) -> None:
        """Have it told with the next `flush`."""
        self._answers.append(record(number, errno, status))

    def flush(self) -> None:
        """Send what fits, and read on when there is room for orders again."""
        if not self._open:
            return
        if self._answers:
            data = b"".join(self._answers)
            try:
                sent = sockets.send(self._connection, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._hang_up()
                return
            self._answers = [data[sent:]] if sent < len(data) else []
        wanted = (loop.READ if len(self.pending) < self.MOST else 0) | (loop.WRITE if self._answers else 0)
        if wanted != self._watched:  # that it hangs up is told in any case
            self._watched = wanted
            self._loop.change(self.fd, wanted)

    def _ready(self) -> None:
        """It says something, or can be told something, or has gone."""
        try:
            came = sockets.receive(self._connection, CHUNK)
            if came is not None:
                self._take(*came)
        except (OSError, Malformed) as error:
            say.warning(f"client: {say.reason(error) if isinstance(error, OSError) else error}")
            self._hang_up()

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        self.descriptors += descriptors
        if not data:
            self._hang_up()
            return
        missing = len(GREETING) - len(self._greeted)
        self._greeted += data[:missing]
        if not GREETING.startswith(self._greeted) or len(self.descriptors) != WHOLE:
            self.foreign = of_another_version(self._greeted)
            raise Malformed("it is of another version" if self.foreign else "it is no client of this runner")
        self.pending += self._records.feed(data[missing:])

    def _hang_up(self) -> None:
        self._open = False
        self.pending = []
        for fd in self.descriptors:
            os.close(fd)
        self.descriptors = []
        self._loop.forget(self.fd)
        self._connection.close()
        self._gone(self)
