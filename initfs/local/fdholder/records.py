"""The journal of a descriptor holder: what it has stored and deleted, as datagrams that carry the descriptors. Pure.

    + entry...                          these are held as well, one descriptor each
    - NAME...                           these are not held any more
    = index (2) total (2) entry...      part of a snapshot: once all its parts have come, nothing else is held

An entry is the expiry (8 bytes, CLOCK_MONOTONIC ns, all ones for never) and NAME (a length byte, the bytes). The clock is the same for
all processes of one boot, and a journal does not live longer than that.
"""

from __future__ import annotations

from initfs.local.fdholder.holding import NANO, NEVER, Held
from initfs.local.wire import AT_ONCE, Malformed
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Items = Sequence[tuple[bytes, Held]]

_NEVER = (1 << 64) - 1
SIZE_MAX = 5 + AT_ONCE * (8 + 1 + 255)


@value
class Record:
    """The bytes of one datagram, and the descriptors that travel with it."""

    body: bytes
    descriptors: tuple[int, ...] = ()


def stored(items: Items) -> Record:
    """These have been stored."""
    return Record(b"+" + _entries(items), _descriptors(items))


def deleted(names: Iterable[bytes]) -> Record:
    """These are gone."""
    return Record(b"-" + b"".join(bytes([len(name)]) + name for name in names))


def snapshot(items: Items) -> list[Record]:
    """All that is held."""
    parts = [items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE)] or [()]
    total = len(parts).to_bytes(2, "big")
    return [
        Record(b"=" + index.to_bytes(2, "big") + total + _entries(part), _descriptors(part))
        for index, part in enumerate(parts)
    ]


class Replay:
    """What a journal says is held, as its records are read in their order."""

    __slots__ = ("_part", "_parts", "held")

    def __init__(self) -> None:
        self.held: dict[bytes, Held] = {}
        self._parts: dict[bytes, Held] = {}
        self._part = 0

    def read(self, body: bytes, descriptors: Sequence[int]) -> list[int]:
        """Apply one record; returns the descriptors that are not needed any more. Malformed, and nothing has changed then."""
        kind, rest = body[:1], body[1:]
        if kind == b"-":
            names = _names_of(rest)
            gone = [self.held.pop(name) for name in names if name in self.held]
            return [held.descriptor for held in gone] + list(descriptors)
        if kind == b"+":
            return _put(self.held, _items_of(rest, descriptors))
        if kind == b"=" and len(rest) >= 4:
            index, total = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
            return self._snapshot(index, total, _items_of(rest[4:], descriptors))
        raise Malformed("not a record")

    def unfinished(self) -> list[int]:
        """The descriptors of a snapshot whose end never came."""
        return [held.descriptor for held in self._parts.values()]

    def _snapshot(self, index: int, total: int, items: Items) -> list[int]:
        closing: list[int] = []
        if index == 0:
            closing, self._parts, self._part = self.unfinished(), {}, 0
        if index != self._part:
            return closing + [held.descriptor for _, held in items]  # its beginning is missing
        closing += _put(self._parts, items)
        self._part += 1
        if self._part == total:
            closing += [held.descriptor for held in self.held.values()]
            self.held, self._parts, self._part = self._parts, {}, 0
        return closing


def _put(table: dict[bytes, Held], items: Items) -> list[int]:
    replaced = [table[name].descriptor for name, _ in items if name in table]
    table.update(items)
    return replaced


def _entries(items: Items) -> bytes:
    return b"".join(
        _expiry(held.expiry).to_bytes(8, "big") + bytes([len(name)]) + name for name, held in items
    )


def _expiry(moment: float) -> int:
    return _NEVER if moment == NEVER else min(max(0, int(moment * NANO)), _NEVER - 1)


def _descriptors(items: Items) -> tuple[int, ...]:
    return tuple(held.descriptor for _, held in items)


def _items_of(body: bytes, descriptors: Sequence[int]) -> list[tuple[bytes, Held]]:
    found: list[tuple[bytes, float]] = []
    at = 0
    while at < len(body):
        moment = int.from_bytes(body[at : at + 8], "big")
        name, at = _name_at(body, at + 8)
        found.append((name, NEVER if moment == _NEVER else moment / NANO))
    if len(found) != len(descriptors):
        raise Malformed("not a descriptor for each name")
    return [(name, Held(fd, expiry)) for (name, expiry), fd in zip(found, descriptors, strict=True)]


def _names_of(body: bytes) -> list[bytes]:
    names, at = [], 0
    while at < len(body):
        name, at = _name_at(body, at)
        names.append(name)
    return names


def _name_at(body: bytes, at: int) -> tuple[bytes, int]:
    length = body[at] if at < len(body) else 0
    name = body[at + 1 : at + 1 + length]
    if not length or len(name) != length:
        raise Malformed("not a name")
    return name, at + 1 + length
