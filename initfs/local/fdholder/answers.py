"""What a descriptor holder answers to a request, and how its table changes by it. Pure: descriptors are numbers here.

`answer` returns the messages to send, the descriptors to close afterwards, and what has been stored and deleted, for whoever keeps
a journal. The two numbers of time are the monotonic seconds and the clock on the wall (ns).
"""

from __future__ import annotations

from errno import EINVAL, ENFILE, ENOENT, EPERM

from initfs.local.fdholder import protocol
from initfs.local.fdholder.holding import Held, Holding, entry, expiry
from initfs.local.fdholder.protocol import (
    Delete,
    Entry,
    GetDump,
    List,
    Part,
    Retrieve,
    SetDump,
    Store,
)
from initfs.local.wire import AT_ONCE, Malformed, Message
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initfs.local.fdholder.protocol import Request


@value
class Answer:
    """MESSAGES to send, then CLOSE; the names that were STORED and DELETED; what was dropped closes either way."""

    messages: tuple[Message, ...] = ()
    close: tuple[int, ...] = ()
    stored: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()


def failed(number: int, descriptors: Sequence[int] = ()) -> Answer:
    """Refuse, and let go of what came along."""
    return Answer((Message(protocol.status(number)),), tuple(descriptors))


class Incoming:
    """A dump that a client is about to give: how many descriptors are still to come, and those that came."""

    __slots__ = ("entries", "expected")

    def __init__(self) -> None:
        self.expected = 0
        self.entries: list[tuple[Entry, int]] = []

    def add(self, entries: Sequence[Entry], descriptors: Sequence[int]) -> None:
        """Take a part. Malformed when it is not the size that was agreed on; the caller closes its descriptors then."""
        if not self.expected or len(entries) != min(self.expected, AT_ONCE):
            raise Malformed("not the part that was announced")
        self.entries += zip(entries, descriptors, strict=True)
        self.expected -= len(entries)

    def abandon(self) -> list[int]:
        """The descriptors of a dump that never became whole, to be closed."""
        left = [fd for _, fd in self.entries]
        self.entries, self.expected = [], 0
        return left


def answer(
    holding: Holding,
    incoming: Incoming,
    request: Request,
    descriptors: Sequence[int],
    allowed: bool,
    now: float,
    clock: int,
) -> Answer:
    """Answer one request of a client. Malformed when it comes at the wrong moment."""
    if incoming.expected and not isinstance(request, Part):
        raise Malformed("a request within a dump")
    if not allowed:
        return failed(EPERM, descriptors)
    match request:
        case Store(one):
            number = holding.store(one.name, Held(descriptors[0], expiry(one.limit, now, clock)))
            return failed(number, descriptors) if number else Answer(_done(), stored=(one.name,))
        case Delete(name):
            gone = holding.delete(name)
            return failed(gone) if isinstance(gone, int) else Answer(_done(), (gone.descriptor,), (), (name,))
        case Retrieve(name, delete):
            return _retrieve(holding, name, delete=delete)
        case List():
            return Answer((Message(protocol.listing(holding.names())),))
        case GetDump():
            return _dump(holding, now, clock)
        case SetDump(count):
            return _begin(holding, incoming, count)
        case Part(entries):
            incoming.add(entries, descriptors)
            return Answer() if incoming.expected else _take(holding, incoming, now, clock)
    return failed(EINVAL, descriptors)


def _done() -> tuple[Message, ...]:
    return (Message(protocol.status()),)


def _retrieve(holding: Holding, name: bytes, *, delete: bool) -> Answer:
    held = holding.get(name)
    if held is None:
        return failed(ENOENT)
    reply = (Message(protocol.status(), (held.descriptor,)),)
    if not delete:
        return Answer(reply)
    holding.delete(name)
    return Answer(reply, (held.descriptor,), (), (name,))


def _dump(holding: Holding, now: float, clock: int) -> Answer:
    items = holding.items()
    messages = [Message(protocol.dump_head(len(items)))]
    for at in range(0, len(items), AT_ONCE):
        part = items[at : at + AT_ONCE]
        body = protocol.entries_body(tuple(entry(name, held, now, clock) for name, held in part))
        messages.append(Message(body, tuple(held.descriptor for _, held in part)))
    return Answer(tuple(messages))


def _begin(holding: Holding, incoming: Incoming, count: int) -> Answer:
    if count > holding.most:
        return failed(ENFILE)
    incoming.expected = count
    return Answer((Message(protocol.set_head(count)),))


def _take(holding: Holding, incoming: Incoming, now: float, clock: int) -> Answer:
    """The dump is whole: all of it, or nothing when there is no room."""
    entries, incoming.entries = incoming.entries, []
    names = [one.name for one, _ in entries]
    if not holding.room_for(names):
        return failed(ENFILE, [fd for _, fd in entries])
    former = [holding.put(one.name, Held(fd, expiry(one.limit, now, clock))) for one, fd in entries]
    replaced = tuple(held.descriptor for held in former if held is not None)
    return Answer(_done(), replaced, tuple(dict.fromkeys(names)))
