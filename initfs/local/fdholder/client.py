"""A conversation with a descriptor holder: store, retrieve, delete, list, get and set a dump.

    with connect("/run/fdholder/s", deadline) as holder:
        holder.store(fd, b"unix:/run/web/s")
        fd = holder.retrieve(b"unix:/run/web/s")

It speaks the protocol of `protocol.py`, so the server may be ours or s6's. Errors are OSError: what the server answers (EPERM not
allowed, EBUSY, ENOENT, ENFILE), EPIPE when it does not let us in, ETIMEDOUT at the deadline, EPROTO when it makes no sense.
"""

from __future__ import annotations

import errno
import os

from initfs.local import sockets
from initfs.local.fdholder import protocol
from initfs.local.wire import AT_ONCE, Malformed
from initfs.loop import NEVER
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from initfs.local.wire import Message

DENIED = (errno.EPIPE, errno.EPERM, errno.EBUSY, errno.ENOENT, errno.ENFILE, errno.ECONNRESET)


@value
class Dumped:
    """One descriptor of a dump, ours to close, and what the holder knows of it."""

    descriptor: int
    name: bytes
    limit: int | None = None  # CLOCK_REALTIME, ns


class Holder:
    """An open connection. Leaving its `with` block closes it."""

    def __init__(self, channel: sockets.Channel) -> None:
        self._channel = channel

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def store(self, fd: int, name: bytes, limit: int | None = None) -> None:
        """Have a copy of FD held as NAME, until LIMIT (CLOCK_REALTIME, ns) or for ever."""
        self._ask(protocol.Store(protocol.Entry(name, limit)), (fd,))

    def retrieve(self, name: bytes, *, delete: bool = False) -> int:
        """A copy of the descriptor NAME, close-on-exec; DELETE: the holder lets go of its own."""
        answer = self._ask(protocol.Retrieve(name, delete))
        if len(answer.descriptors) != 1:
            raise _nonsense("no descriptor came")
        return answer.descriptors[0]

    def delete(self, name: bytes) -> None:
        """Have NAME forgotten and closed."""
        self._ask(protocol.Delete(name))

    def names(self) -> list[bytes]:
        """All names."""
        try:
            return protocol.names_of(self._ask(protocol.List()).body)
        except Malformed as error:
            raise _nonsense(str(error)) from None

    def get_dump(self) -> list[Dumped]:
        """All that is held."""
        found: list[Dumped] = []
        try:
            messages, count = protocol.numbers_of(self._ask(protocol.GetDump()).body, 2)
            for _ in range(messages):
                part = self._receive()
                found += [Dumped(fd, b"?") for fd in part.descriptors]
                found[len(found) - len(part.descriptors) :] = _dumped(part)
            _agree(len(found), count)
        except (Malformed, OSError) as error:
            for one in found:
                os.close(one.descriptor)
            raise (error if isinstance(error, OSError) else _nonsense(str(error))) from None
        return found

    def set_dump(self, dump: Sequence[Dumped]) -> None:
        """Have copies of all of these held, instead of what has the same names."""
        self._ask(protocol.SetDump(len(dump)))
        for at in range(0, len(dump), AT_ONCE):
            part = dump[at : at + AT_ONCE]
            entries = tuple(protocol.Entry(one.name, one.limit) for one in part)
            self._channel.send(protocol.encode(protocol.Part(entries)), [one.descriptor for one in part])
        if dump:
            self._answer()

    def _ask(self, request: protocol.Request, descriptors: Sequence[int] = ()) -> Message:
        try:
            body = protocol.encode(request)
        except ValueError as error:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from error
        try:
            self._channel.send(body, descriptors)
        except ConnectionError:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        return self._answer()

    def _answer(self) -> Message:
        message = self._receive()
        if message.body[:1] != b"\0":
            for fd in message.descriptors:
                os.close(fd)
            number = message.body[0] if message.body else errno.EPROTO
            raise OSError(number, os.strerror(number))
        return message

    def _receive(self) -> Message:
        try:
            return self._channel.receive()
        except ConnectionError:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        except Malformed as error:
            raise _nonsense(str(error)) from None


def _dumped(part: Message) -> list[Dumped]:
    entries = protocol.entries_of(part.body)
    _agree(len(part.descriptors), len(entries))
    return [Dumped(fd, one.name, one.limit) for fd, one in zip(part.descriptors, entries, strict=True)]


def _agree(came: int, announced: int) -> None:
    if came != announced:
        raise Malformed(f"{came} descriptors for {announced}")


def _nonsense(why: str) -> OSError:
    return OSError(errno.EPROTO, f"{os.strerror(errno.EPROTO)} ({why})")


def connect(path: str, deadline: float = NEVER) -> Holder:
    """A conversation with the holder at the socket PATH, all of it over before DEADLINE (monotonic seconds). OSError."""
    return Holder(sockets.Channel(sockets.connect(path, deadline), deadline))
