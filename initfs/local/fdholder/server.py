"""A descriptor holder: one loop, its clients, its table. It decides nothing: `access`, `rights` and `answers` do.

No client can hurt it: each has one request in work, so many bytes and descriptors and no more; who breaks the protocol, is
not let in or says nothing for too long is disconnected, and what came from it is closed.
"""

from __future__ import annotations

import os
import time

from initfs import loop, say
from initfs.local import access, sockets
from initfs.local.door import Door
from initfs.local.fdholder import answers, protocol, rights
from initfs.local.fdholder.holding import Holding
from initfs.local.fdholder.lending import Lending
from initfs.local.wire import AT_ONCE, Malformed, Message, Reassembly, frame
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

    from initfs.local.fdholder.keeping import Keeper
    from initfs.local.fdholder.rights import Rights
    from initfs.local.rules import Rules

_ENDLESS = 1e300  # a moment that does not come, but is not "no moment"


@value
class Limits:
    """Clients and descriptors at a time; seconds a client may be idle, and that they have after TERM."""

    clients: int = 16
    descriptors: int = 1000
    idle: float = loop.NEVER
    lame: float = loop.NEVER


class Client:
    """A connection, and what it may do."""

    __slots__ = ("deadline", "incoming", "outgoing", "reassembly", "rights", "socket", "waiting")

    def __init__(self, socket: socket, granted: Rights, deadline: float) -> None:
        self.socket, self.rights, self.deadline = socket, granted, deadline
        # Who may not give a dump has no use for more than the descriptor of one request, and could only exhaust ours.
        self.reassembly = (
            Reassembly(protocol.REQUEST_MAX, AT_ONCE)
            if granted.setdump
            else Reassembly(protocol.SINGLE_MAX, 1)
        )
        self.incoming = answers.Incoming()
        self.waiting: list[Message] = []  # requests
        self.outgoing: list[
            tuple[bytes, tuple[int, ...]]
        ] = []  # what is left to send; the descriptors are lent

    def close(self, lending: Lending) -> None:
        for fd in (
            *self.reassembly.abandon(),
            *self.incoming.abandon(),
            *(fd for message in self.waiting for fd in message.descriptors),
        ):
            os.close(fd)
        for _, descriptors in self.outgoing:
            lending.back(descriptors)
        self.socket.close()

    def idle(self) -> bool:
        """Whether nothing has been begun."""
        return self.reassembly.idle() and not (self.waiting or self.outgoing or self.incoming.expected)


class Server:
    """Serves the LISTENER in LOOP."""

    def __init__(
        self, around: loop.Loop, listener: socket, rules: Rules, limits: Limits, keeper: Keeper | None = None
    ) -> None:
        self.holding = Holding(limits.descriptors)
        self.clients: dict[int, Client] = {}
        self.verbose = 1
        self._lending = Lending()
        self._loop, self._rules, self._limits = around, rules, limits
        self._keeper = keeper
        self._door = Door(around, listener, self._room, self._entered)
        self._leaving = loop.NEVER
        if keeper is not None:
            keeper.restore(self.holding)
        self._door.update()

    def run(self) -> int:
        """Serve until told to leave. Returns bit 0: descriptors were lost, bit 1: clients were left."""
        while not self._over():
            self._loop.turn(self._next())
            now = loop.now()
            self._expire(now)
            self._door.tick(now)
        lost = bool(len(self.holding)) and self._keeper is None
        left = bool(self.clients)
        for fd in list(self.clients):
            self._drop(fd)
        return lost | left << 1

    def leave(self) -> None:
        """Accept nobody any more, and end when what has been begun is done, or its time is over."""
        if self._leaving != loop.NEVER:
            return
        self._leaving = loop.now() + self._limits.lame if self._limits.lame != loop.NEVER else _ENDLESS
        self._door.update()
        for fd, client in list(self.clients.items()):
            if client.idle():
                self._drop(fd)

    def reload(self) -> None:
        """Read compiled rules anew; when that fails the former ones go on."""
        try:
            self._rules.reload()
        except OSError as error:
            say.warning(f"unable to read {self._rules.path}: {say.reason(error)}")

    def _over(self) -> bool:
        return self._leaving != loop.NEVER and (not self.clients or loop.now() >= self._leaving)

    def _next(self) -> float:
        idle = loop.NEVER
        if self._limits.idle != loop.NEVER:
            idle = min((client.deadline for client in self.clients.values()), default=loop.NEVER)
        leaving = self._leaving if self._leaving != _ENDLESS else loop.NEVER
        return min(idle, leaving, self._door.retry, self.holding.next_expiry())

    def _expire(self, now: float) -> None:
        for name, held in self.holding.expire(now):
            self._lending.close((held.descriptor,))
            self._journal(deleted=(name,))
            if self.verbose >= 2:
                say.info(f"{_text(name)} has expired")
        if self._limits.idle != loop.NEVER:
            for fd in [fd for fd, client in self.clients.items() if client.deadline <= now]:
                self._drop(fd, "said nothing for too long")

    def _room(self) -> bool:
        return len(self.clients) < self._limits.clients and self._leaving == loop.NEVER

    def _entered(self, fd: int, _: str) -> None:
        connection = sockets.of(fd)
        granted = self._admit(connection)
        if granted is None:
            connection.close()
            return
        connection.setblocking(False)
        self.clients[fd] = Client(connection, granted, self._deadline())
        self._loop.watch(fd, lambda: self._served(fd))

    def _admit(self, connection: socket) -> Rights | None:
        """The rights of who is at the other end; None to keep it out."""
        try:
            who = sockets.peer(connection)
            keys = access.account_keys(who.uid, who.gid, os.geteuid(), os.getegid())
            key, rule = access.decide(keys, self._rules.look_up)
            granted = rights.granted(rule) if rule.allowed else None
        except (OSError, ValueError) as error:
            why = say.reason(error) if isinstance(error, OSError) else str(error)
            say.warning(f"unable to know the rights of a client: {why}")
            return None
        if self.verbose >= 2:
            verdict = "denied" if granted is None else "allowed"
            say.info(f"{verdict} pid {who.pid} uid {who.uid} gid {who.gid} by {key or 'no rule'}")
        return granted

    def _deadline(self) -> float:
        return loop.now() + self._limits.idle

    def _served(self, fd: int) -> None:
        """Something arrived from a client, or it can take more: one step, and whatever goes wrong is its own end."""
        client = self.clients[fd]
        client.deadline = self._deadline()
        try:
            if client.outgoing:
                self._flush(fd, client)
            else:
                came = sockets.receive(
                    client.socket, min(sockets.MOST, max(sockets.CHUNK, client.reassembly.missing()))
                )
                if came is None:
                    return
                if not came[0]:
                    self._drop(fd)
                    return
                client.waiting += client.reassembly.feed(*came)
            while client.waiting and not client.outgoing:
                self._answer(fd, client, client.waiting.pop(0))
            if self._leaving != loop.NEVER and client.idle():
                self._drop(fd)
        except (OSError, Malformed) as error:
            self._drop(fd, say.reason(error) if isinstance(error, OSError) else str(error))
        except Exception as error:  # noqa: BLE001 # one client's trouble is not the others'
            self._drop(fd, f"bug: {say.describe(error)}")

    def _answer(self, fd: int, client: Client, message: Message) -> None:
        try:
            request = protocol.decode(message.body, len(message.descriptors))
            allowed = rights.allows(client.rights, request)
            answer = answers.answer(
                self.holding,
                client.incoming,
                request,
                message.descriptors,
                allowed,
                loop.now(),
                time.time_ns(),
            )
        except Malformed:
            for came in message.descriptors:
                os.close(came)
            raise
        self._journal(answer.stored, answer.deleted)
        try:
            self._send(fd, client, answer.messages)
        finally:
            self._lending.close(answer.close)

    def _send(self, fd: int, client: Client, messages: Sequence[Message]) -> None:
        """Send now what fits; keep the rest, and its descriptors open, for the table may change meanwhile."""
        for index, message in enumerate(messages):
            data, descriptors = frame(message.body, len(message.descriptors)), message.descriptors
            try:
                sent = sockets.send(client.socket, data, descriptors)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                client.outgoing.append((data[sent:], self._lending.lend(() if sent else descriptors)))
                for later in messages[index + 1 :]:
                    whole = frame(later.body, len(later.descriptors))
                    client.outgoing.append((whole, self._lending.lend(later.descriptors)))
                self._loop.change(fd, loop.WRITE)
                return

    def _flush(self, fd: int, client: Client) -> None:
        while client.outgoing:
            data, descriptors = client.outgoing[0]
            try:
                sent = sockets.send(client.socket, data, descriptors)
            except BlockingIOError:
                return
            client.outgoing[0] = (data[sent:], ())
            self._lending.back(descriptors)
            if sent == len(data):
                client.outgoing.pop(0)
        self._loop.change(fd, loop.READ)

    def _journal(self, stored: Sequence[bytes] = (), deleted: Sequence[bytes] = ()) -> None:
        if self._keeper is not None and (stored or deleted):
            self._keeper.note(self.holding, stored, deleted)

    def _drop(self, fd: int, why: str = "") -> None:
        client = self.clients.pop(fd, None)
        if client is None:
            return
        if why and self.verbose:
            say.warning(f"client {fd}: {why}")
        self._loop.forget(fd)
        client.close(self._lending)
        self._door.update()


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
