"""How the last partition comes to have all of its disk: from a partition table to what has to be written. Pure.

An image of 256 MB is written to a card of 32 GB; the table in it ends where the image ends. What is refused is left as it is.
A power cut leaves the old table or the new one, as each takes effect by the write of one sector, which a disk writes whole or not
at all. In an MBR there is no more to write. In a GPT the new entries are put where nobody reads them yet, before the first
partition, and the header that names their place is that sector: Linux does not look at the second table when the first is damaged.

Sources: UEFI Specification 2.10, 5.2 (MBR) and 5.3 (GPT); block/partitions/efi.c of Linux for who reads what.
"""

from __future__ import annotations

from struct import Struct

from initfs.value import fields, replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]  # sector, number of sectors
    Spans = dict[int, tuple[int, int]]  # partition: first sector, and the one behind its last

SECTOR = 512
ALIGN = 2048  # sectors: 1 MiB
LEAST = 8192  # sectors: fewer are not worth a changed table
_ENTRY = Struct("<B3sB3sII")  # of an MBR: status, first, type, last, first sector, number of sectors
_ENTRIES, _MOST = 446, (1 << 32) - 1
_NESTED = (0x05, 0x0F, 0x85)  # extended partitions
_PROTECTIVE = 0xEE
_BEYOND = b"\xfe\xff\xff"  # an end that cylinders, heads and sectors cannot tell
_HEADER = Struct("<8sIIIIQQQQ16sQIII")
_REVISION = 0x10000
_ROW, _ROWS = 128, 128  # bytes of a GPT's entry, and how many there are
ARRAY = _ROW * _ROWS // SECTOR  # sectors
FRONT = 2  # the sector where the entries are in a table that nobody changed
_SPAN = Struct("<32xQQ")


class Unclear(Exception):
    """The table is not one that we would change; the text says why."""


@value
class Growth:
    """What the partition is going to be, in sectors, and what to write: (sector, bytes), each on the disk before the next."""

    start: int
    size: int
    writes: tuple[tuple[int, bytes], ...]


@value
class Header:
    """A GPT's header."""

    magic: bytes
    revision: int
    size: int
    crc: int
    reserved: int
    here: int
    other: int
    first: int
    last: int
    guid: bytes
    array: int
    rows: int
    row: int
    array_crc: int


def growth(read: Read, disk: int, number: int) -> Growth | None:
    """What makes partition NUMBER fill a disk of DISK sectors; None when it does, nearly. Raises Unclear."""
    head = read(0, 2)
    if head[510:512] != b"\x55\xaa":
        raise Unclear("the disk has no partition table")
    if head[SECTOR : SECTOR + 8] == b"EFI PART":
        return _gpt(read, head, disk, number)
    return _mbr(head[:SECTOR], disk, number)


def _end(spans: Spans, number: int, limit: int) -> int:
    """The sector behind the partition once it has all up to LIMIT; 0 when that is not worth it. Raises Unclear."""
    start, end = spans.get(number, (0, 0))
    if not 0 < start < end:
        raise Unclear("the table has no such partition")
    if end > limit:
        raise Unclear("the disk is smaller than its table")
    if any(behind > start for each, (_, behind) in spans.items() if each != number):
        raise Unclear("it is not the last partition")
    grown = limit // ALIGN * ALIGN
    return grown if grown - end >= LEAST else 0


def _mbr(sector: bytes, disk: int, number: int) -> Growth | None:
    spans: Spans = {}
    for index in range(4):
        _, _, kind, _, start, size = _ENTRY.unpack_from(sector, _ENTRIES + _ENTRY.size * index)
        if kind in (*_NESTED, _PROTECTIVE):
            raise Unclear("the table has partitions that are told elsewhere")
        if kind:
            spans[index + 1] = (start, start + size)
    end = _end(spans, number, min(disk, _MOST))
    if not end:
        return None
    start = spans[number][0]
    return Growth(start, end - start, ((0, _lengthened(sector, number, end - start)),))


def _lengthened(sector: bytes, number: int, size: int) -> bytes:
    """An MBR with another size of a partition."""
    at = _ENTRIES + _ENTRY.size * (number - 1)
    status, first, kind, _, start, _ = _ENTRY.unpack_from(sector, at)
    return (
        sector[:at]
        + _ENTRY.pack(status, first, kind, _BEYOND, start, size)
        + sector[at + _ENTRY.size :]
    )  # fmt: skip


def _gpt(read: Read, head: bytes, disk: int, number: int) -> Growth | None:
    header = _header(head[SECTOR:], disk)
    rows = read(header.array, ARRAY)
    if _crc(rows) != header.array_crc:
        raise Unclear("its entries are damaged")
    spans = _spans(rows)
    end = _end(spans, number, disk - ARRAY - 1)
    if not end:
        return None
    new = _ended(rows, number, end)
    place = _place(read, header, rows, min(start for start, _ in spans.values()), number)
    now = replace(
        header, other=disk - 1, first=max(header.first, place + ARRAY), last=disk - ARRAY - 2, array=place, array_crc=_crc(new)
    )  # fmt: skip
    second = replace(now, here=disk - 1, other=1, array=disk - 1 - ARRAY)
    writes = [(second.array, new + _packed(second)), (place, new), (1, _packed(now))]
    if head[_ENTRIES + 4] == _PROTECTIVE and not any(head[_ENTRIES + _ENTRY.size : 510]):
        writes.append((0, _lengthened(head[:SECTOR], 1, min(disk - 1, _MOST))))
    start = spans[number][0]
    return Growth(start, end - start, tuple(writes))


def _header(sector: bytes, disk: int) -> Header:
    """Read a header that is whole, and as all makers of tables write it. Raises Unclear."""
    found = Header(*_HEADER.unpack_from(sector))
    if sector != _packed(found):
        raise Unclear("its header is damaged")
    usual = (found.revision, found.here, found.rows, found.row) == (_REVISION, 1, _ROWS, _ROW)
    if not (usual and FRONT <= found.array <= disk - ARRAY):
        raise Unclear("its header is not the usual one")
    return found


def _packed(header: Header) -> bytes:
    """A header's sector, with its checksum."""
    bare = _HEADER.pack(*fields(replace(header, crc=0)).values())
    return _HEADER.pack(*fields(replace(header, crc=_crc(bare))).values()).ljust(SECTOR, b"\0")


def _crc(data: bytes) -> int:
    from binascii import crc32

    return crc32(data)


def _spans(rows: bytes) -> Spans:
    found: Spans = {}
    for index in range(_ROWS):
        row = rows[index * _ROW : (index + 1) * _ROW]
        if any(row[:16]):
            first, last = _SPAN.unpack_from(row)
            found[index + 1] = (first, last + 1)
    return found


def _ended(rows: bytes, number: int, end: int) -> bytes:
    """The entries with another end of a partition."""
    at = (number - 1) * _ROW + 40
    return rows[:at] + (end - 1).to_bytes(8, "little") + rows[at + 8 :]


def _place(read: Read, header: Header, rows: bytes, first: int, number: int) -> int:
    """Where the new entries go: in front of all partitions, or in front of the table's usual place when they are there now.

    Raises Unclear: something is there, and it is not what we wrote for another size of this disk.
    """
    back = first - ARRAY
    if back < FRONT + ARRAY or header.array not in (FRONT, back):
        raise Unclear("there is no room for a second copy of its entries")
    place = back if header.array == FRONT else FRONT
    there = read(place, ARRAY)
    ours, known = _ended(there, number, 1), _ended(rows, number, 1)
    for at in range(0, len(there), SECTOR):  # a power cut may have left some of them
        piece = slice(at, at + SECTOR)
        if any(there[piece]) and ours[piece] != known[piece]:
            raise Unclear("something is where a second copy of its entries would be")
    return place
