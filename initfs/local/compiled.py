"""Access rules in one file: a constant database (D. J. Bernstein's cdb format), as s6's programs read and write it. Pure.

    2048 bytes        256 times: where a hash table is, and how many slots it has (4 bytes each, little-endian)
    records           length of key, length of value, key, value
    hash tables       slots of (hash, position of the record), 0 for an empty one

A key is `uid/1000`. A value is `D`, or `A`, length (2 bytes, big-endian) and environment (`NAME=value` or `NAME`, each with a NUL),
length and script. Found by looking at what s6-accessrules-cdb-from-fs writes.
"""

from __future__ import annotations

from initfs.local.access import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENVIRONMENT_MAX = SCRIPT_MAX = 4096
KEY_MAX = 4096
_HEAD = 2048


class Corrupt(ValueError):
    """The file is no database of rules."""


class TooLarge(ValueError):
    """A rule that does not fit."""


def encode_rule(rule: Rule) -> bytes:
    """A rule as a value. TooLarge when its environment is."""
    if not rule.allowed:
        return b"D"
    environment = b"".join(
        (name if content is None else name + b"=" + content) + b"\0" for name, content in rule.environment
    )
    if len(environment) > ENVIRONMENT_MAX:
        raise TooLarge(f"an environment of {len(environment)} bytes, more than {ENVIRONMENT_MAX}")
    script = rule.exec[:SCRIPT_MAX]
    return b"A" + len(environment).to_bytes(2, "big") + environment + len(script).to_bytes(2, "big") + script


def decode_rule(data: bytes) -> Rule:
    """The rule that a value is. Corrupt."""
    if data == b"D":
        return Rule(allowed=False)
    end = 3 + int.from_bytes(data[1:3], "big")
    environment, length, script = data[3:end], data[end : end + 2], data[end + 2 :]
    if data[:1] != b"A" or len(length) != 2 or len(script) != int.from_bytes(length, "big"):
        raise Corrupt("not a rule")
    if environment and not environment.endswith(b"\0"):
        raise Corrupt("an environment without an end")
    return Rule(True, tuple(map(_variable, environment.split(b"\0")[:-1])), script)


def _variable(text: bytes) -> tuple[bytes, bytes | None]:
    name, equals, content = text.partition(b"=")
    if not name:
        raise Corrupt("a variable without a name")
    return name, content if equals else None


def encode(rules: Iterable[tuple[str, Rule]]) -> bytes:
    """The database of these rules, each key once."""
    records, at = [], _HEAD
    slots: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    for key, rule in rules:
        name, content = key.encode(errors="surrogateescape"), encode_rule(rule)
        records.append(_pair(len(name), len(content)) + name + content)
        number = _hash(name)
        slots[number & 255].append((number, at))
        at += len(records[-1])
    head, tables = [], []
    for entries in slots:
        head.append(_pair(at, 2 * len(entries)))
        table = _table(entries)
        tables.append(table)
        at += len(table)
    return b"".join((*head, *records, *tables))


def look_up(database: bytes, key: str) -> Rule | None:
    """The rule of KEY, None without one. Corrupt."""
    name = key.encode(errors="surrogateescape")
    number = _hash(name)
    if len(database) < _HEAD:
        raise Corrupt("too short")
    table, size = _numbers(database, 8 * (number & 255))
    for step in range(size):
        slot = table + 8 * (((number >> 8) + step) % size)
        found, at = _numbers(database, slot)
        if not at:
            return None
        if found == number:
            there, content, _ = _record(database, at)
            if there == name:
                return decode_rule(content)
    return None


def items(database: bytes) -> Iterator[tuple[str, Rule]]:
    """All keys and rules, as they were written. Corrupt."""
    if len(database) < _HEAD:
        raise Corrupt("too short")
    at, end = _HEAD, min(_numbers(database, 8 * index)[0] for index in range(256))
    while at < end:
        name, content, at = _record(database, at)
        yield name.decode(errors="surrogateescape"), decode_rule(content)
    if at != end:
        raise Corrupt("records and tables overlap")


def _record(database: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Key and value of the record at AT, and where it ends."""
    length, size = _numbers(database, at)
    name = database[at + 8 : at + 8 + length]
    content = database[at + 8 + length : at + 8 + length + size]
    if length > KEY_MAX or len(name) != length or len(content) != size:
        raise Corrupt("a record that is cut off")
    return name, content, at + 8 + length + size


def _table(entries: list[tuple[int, int]]) -> bytes:
    size = 2 * len(entries)
    slots = [(0, 0)] * size
    for number, position in entries:
        slot = (number >> 8) % size
        while slots[slot][1]:
            slot = (slot + 1) % size
        slots[slot] = (number, position)
    return b"".join(_pair(*slot) for slot in slots)


def _hash(name: bytes) -> int:
    number = 5381
    for byte in name:
        number = (number * 33 & 0xFFFFFFFF) ^ byte
    return number


def _pair(one: int, other: int) -> bytes:
    return one.to_bytes(4, "little") + other.to_bytes(4, "little")


def _numbers(database: bytes, at: int) -> tuple[int, int]:
    if at + 8 > len(database):
        raise Corrupt("a pointer out of the file")
    return int.from_bytes(database[at : at + 4], "little"), int.from_bytes(
        database[at + 4 : at + 8], "little"
    )
