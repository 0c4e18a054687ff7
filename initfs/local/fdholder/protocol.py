"""What a descriptor holder and its clients say to each other: requests and answers as bytes. Pure.

This is the protocol of s6-fdholderd, found by watching its 2.11 programs with strace, so that its clients work here and ours there.
Each request and each answer is one message (`initfs.local.wire`). NAME is a length byte, the identifier, a NUL. LIMIT is
TAI64N (seconds with leap seconds), 2**62 + 2**61 seconds or more for "never". Numbers are big-endian, STATUS is an errno or 0.

    S LIMIT NAME  1 descriptor      store         STATUS
    D NAME                          delete        STATUS
    R flag NAME                     retrieve      STATUS, with 1 descriptor when it is 0; a flag of 1 deletes
    L                               list          STATUS, count (4), each identifier with a NUL
    ?                               get dump      STATUS, messages (4), descriptors (4); then as many messages of (LIMIT NAME)...
    ! count (4)                     set dump      STATUS, messages (4): how many must follow
    . (LIMIT NAME)... descriptors   part of one   STATUS of the whole after the last, nothing before
"""

from __future__ import annotations

from initfs import tai
from initfs.local.wire import AT_ONCE, Malformed
from initfs.value import value

NAME_MAX = 255
FOREVER = 2**62 + 2**61  # seconds
ENTRY_MAX = tai.SIZE + 1 + NAME_MAX + 1
SINGLE_MAX = 1 + ENTRY_MAX  # a request that is no part of a dump
REQUEST_MAX = 1 + AT_ONCE * ENTRY_MAX
FAR = 1 << 40  # seconds: what is later than that is never


@value
class Entry:
    """An identifier, and the moment (CLOCK_REALTIME, ns) at which it is forgotten; None for never."""

    name: bytes
    limit: int | None = None


@value
class Store:
    entry: Entry


@value
class Delete:
    name: bytes


@value
class Retrieve:
    name: bytes
    delete: bool = False


@value
class List:
    pass


@value
class GetDump:
    pass


@value
class SetDump:
    count: int


@value
class Part:
    entries: tuple[Entry, ...]


TYPE_CHECKING = False
if TYPE_CHECKING:
    Request = Store | Delete | Retrieve | List | GetDump | SetDump | Part


def check_name(name: bytes) -> None:
    """ValueError unless NAME can be an identifier: 1 to 255 bytes, none of them NUL."""
    if not name or len(name) > NAME_MAX or b"\0" in name:
        raise ValueError("not an identifier")


def encode(request: Request) -> bytes:
    """The body of a request. ValueError when an identifier is none."""
    match request:
        case Store(entry):
            return b"S" + _entry(entry)
        case Delete(name):
            return b"D" + _name(name)
        case Retrieve(name, delete):
            return b"R" + bytes([delete]) + _name(name)
        case List():
            return b"L"
        case GetDump():
            return b"?"
        case SetDump(count):
            return b"!" + count.to_bytes(4, "big")
        case Part(entries):
            return b"." + entries_body(entries)


def decode(body: bytes, descriptors: int) -> Request:
    """The request in BODY, that came with so many descriptors. Malformed for everything that is none."""
    letter, rest = body[:1], body[1:]
    request = _decode(letter, rest)
    wanted = 1 if letter == b"S" else len(request.entries) if isinstance(request, Part) else 0
    if descriptors != wanted:
        raise Malformed(f"{descriptors} descriptors for {wanted}")
    return request


def _decode(letter: bytes, rest: bytes) -> Request:
    if letter == b"S":
        return Store(_only(entries_of(rest)))
    if letter == b"D":
        return Delete(_whole_name(rest))
    if letter == b"R":
        if rest[:1] not in (b"\0", b"\1"):
            raise Malformed("not a flag")
        return Retrieve(_whole_name(rest[1:]), rest[0] == 1)
    if letter == b".":
        return Part(entries_of(rest))
    if letter == b"!" and len(rest) == 4:
        return SetDump(int.from_bytes(rest, "big"))
    if letter == b"L" and not rest:
        return List()
    if letter == b"?" and not rest:
        return GetDump()
    raise Malformed("not a request")


def status(errno: int = 0) -> bytes:
    """An answer that is nothing but a status."""
    return bytes([errno])


def listing(names: list[bytes]) -> bytes:
    """The answer to List."""
    return b"\0" + len(names).to_bytes(4, "big") + b"".join(name + b"\0" for name in names)


def names_of(answer: bytes) -> list[bytes]:
    """The identifiers in the answer to List, whose status is 0. Malformed."""
    count, names = int.from_bytes(answer[1:5], "big"), answer[5:].split(b"\0")
    if len(answer) < 5 or len(names) != count + 1 or names.pop():
        raise Malformed("not a list")
    return names


def dump_head(count: int) -> bytes:
    """The first answer to GetDump: so many descriptors, in how many messages."""
    return b"\0" + parts(count).to_bytes(4, "big") + count.to_bytes(4, "big")


def set_head(count: int) -> bytes:
    """The first answer to SetDump."""
    return b"\0" + parts(count).to_bytes(4, "big")


def numbers_of(answer: bytes, count: int) -> list[int]:
    """The COUNT numbers behind the status of an answer. Malformed when there are not so many."""
    if len(answer) != 1 + 4 * count:
        raise Malformed("not an answer")
    return [int.from_bytes(answer[at : at + 4], "big") for at in range(1, len(answer), 4)]


def parts(count: int) -> int:
    """How many messages COUNT descriptors are divided into."""
    return -(-count // AT_ONCE)


def entries_body(entries: tuple[Entry, ...]) -> bytes:
    """Entries, one after the other."""
    return b"".join(map(_entry, entries))


def entries_of(body: bytes) -> tuple[Entry, ...]:
    """The entries in BODY. Malformed."""
    found, at = [], 0
    while at < len(body):
        limit = _limit_of(body[at : at + tai.SIZE])
        name, at = _name_at(body, at + tai.SIZE)
        found.append(Entry(name, limit))
    return tuple(found)


def _only(entries: tuple[Entry, ...]) -> Entry:
    if len(entries) != 1:
        raise Malformed("not one entry")
    return entries[0]


def _entry(entry: Entry) -> bytes:
    return _limit(entry.limit) + _name(entry.name)


def _limit(moment: int | None) -> bytes:
    if moment is None or moment // tai.NANO > FAR:
        return FOREVER.to_bytes(8, "big") + bytes(4)
    return tai.pack(max(0, moment), tai.LEAP)


def _limit_of(data: bytes) -> int | None:
    if len(data) == tai.SIZE and int.from_bytes(data[:8], "big") > tai.ORIGIN + FAR:
        return None
    try:
        return tai.unpack(data, tai.LEAP)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _name(name: bytes) -> bytes:
    check_name(name)
    return bytes([len(name)]) + name + b"\0"


def _name_at(body: bytes, at: int) -> tuple[bytes, int]:
    """The identifier at AT, and where it ends."""
    length = body[at] if at < len(body) else 0
    name, end = body[at + 1 : at + 1 + length], at + 2 + length
    if not length or body[end - 1 : end] != b"\0" or b"\0" in name:
        raise Malformed("not an identifier")
    return name, end


def _whole_name(body: bytes) -> bytes:
    name, end = _name_at(body, 0)
    if end != len(body):
        raise Malformed("bytes behind an identifier")
    return name
