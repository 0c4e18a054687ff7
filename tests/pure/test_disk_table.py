"""The data partition that gets all of its disk: tables as tools make them, and what a reader finds when the power goes."""

from __future__ import annotations

import random
from binascii import crc32
from struct import Struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.disk import table
from initfs.disk.identity import HEAD, identity

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTOR = 512
MIB = 2048  # sectors
HEADER = Struct("<8sIIIIQQQQ16sQIII")
GUID = bytes(range(16))
FREE = MIB  # where the first partition begins


def mbr(spans: Sequence[tuple[int, int]], kind: int = 0x83) -> bytearray:
    """The first sector of a disk with these partitions: (first sector, size)."""
    sector = bytearray(SECTOR)
    sector[440:444] = b"DISK"
    for index, (start, size) in enumerate(spans):
        at = 446 + 16 * index
        sector[at + 4] = kind
        sector[at + 8 : at + 16] = start.to_bytes(4, "little") + size.to_bytes(4, "little")
    sector[510:] = b"\x55\xaa"
    return sector


def rows(spans: Sequence[tuple[int, int]]) -> bytes:
    found = bytearray(128 * 128)
    for index, (start, size) in enumerate(spans):
        at = 128 * index
        found[at : at + 32] = random.Random(index).randbytes(32)
        found[at + 32 : at + 48] = start.to_bytes(8, "little") + (start + size - 1).to_bytes(8, "little")
    return bytes(found)


def header(entries: bytes, sectors: int, *, here: int = 1, array: int = 2, **changes: int) -> bytes:
    other = sectors - 1 if here == 1 else 1
    fields = [b"EFI PART", 0x10000, 92, 0, 0, here, other, 34, sectors - 34, GUID, array,
              changes.get("rows", 128), changes.get("row", 128), crc32(entries)]  # fmt: skip
    fields[3] = crc32(HEADER.pack(*fields))
    return HEADER.pack(*fields).ljust(SECTOR, b"\0")


def gpt(spans: Sequence[tuple[int, int]], sectors: int) -> dict[int, bytes]:
    """The sectors of a disk with a GPT that have anything in them."""
    entries = rows(spans)
    disk = {0: bytes(mbr([(1, sectors - 1)], 0xEE)), 1: header(entries, sectors)}
    put(disk, 2, entries)
    put(disk, sectors - 33, entries)
    disk[sectors - 1] = header(entries, sectors, here=sectors - 1, array=sectors - 33)
    return disk


def put(disk: dict[int, bytes], sector: int, data: bytes) -> None:
    for at in range(0, len(data), SECTOR):
        disk[sector + at // SECTOR] = data[at : at + SECTOR]


def read(disk: dict[int, bytes], sector: int, count: int) -> bytes:
    return b"".join(disk.get(each, bytes(SECTOR)) for each in range(sector, sector + count))


def spans_of(disk: dict[int, bytes], here: int = 1) -> list[tuple[int, int]] | None:
    """What Linux finds by the header at HERE: None when it finds the table damaged."""
    fields = list(HEADER.unpack_from(disk.get(here, bytes(SECTOR))))
    crc, fields[3] = fields[3], 0
    entries = read(disk, fields[10], 32)
    if fields[0] != b"EFI PART" or crc != crc32(HEADER.pack(*fields)) or fields[5] != here:
        return None
    if fields[13] != crc32(entries) or fields[7] > fields[8]:
        return None
    found = []
    for at in range(0, 128 * 128, 128):
        if any(entries[at : at + 16]):
            first, last = (int.from_bytes(entries[at + k : at + k + 8], "little") for k in (32, 40))
            assert fields[7] <= first <= last <= fields[8]
            found.append((first, last - first + 1))
    return found


def grown(disk: dict[int, bytes], sectors: int, number: int) -> table.Growth | None:
    return table.growth(lambda sector, count: read(disk, sector, count), sectors, number)


def applied(disk: dict[int, bytes], found: table.Growth) -> dict[int, bytes]:
    new = dict(disk)
    for sector, data in found.writes:
        put(new, sector, data)
    return new


@some.composite
def layouts(draw: some.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Partitions one behind the other, and a disk they fit on, as large as an image."""
    at, spans = FREE * draw(some.integers(1, 16)), []
    for _ in range(draw(some.integers(1, 4))):
        size = draw(some.integers(1, 200 * MIB))
        spans.append((at, size))
        at += size + draw(some.integers(0, MIB))
    return spans, at + 34 + draw(some.integers(0, MIB))


# MBR


@given(layouts(), some.integers(0, 1 << 33))
def test_the_last_partition_of_an_mbr_grows_by_one_sector_that_is_written(
    layout: tuple[list[tuple[int, int]], int], more: int
) -> None:
    spans, sectors = layout
    number = len(spans)
    disk = {0: bytes(mbr(spans))}

    found = grown(disk, sectors + more, number)

    if found is None:
        assert more < table.LEAST + 2 * MIB or sum(spans[-1]) > (1 << 32) - 1 - table.LEAST - MIB
        return
    assert [(sector, len(data)) for sector, data in found.writes] == [(0, SECTOR)]
    new = applied(disk, found)[0]
    at = 446 + 16 * (number - 1)
    assert new[:at] == disk[0][:at]
    assert new[at + 16 :] == disk[0][at + 16 :]
    assert (found.start, new[at + 4]) == (spans[-1][0], 0x83)
    assert int.from_bytes(new[at + 12 : at + 16], "little") == found.size > spans[-1][1]
    assert (found.start + found.size) % MIB == 0
    assert found.start + found.size <= min(sectors + more, (1 << 32) - 1)
    assert grown({0: new}, sectors + more, number) is None, "once is enough"


@pytest.mark.parametrize(
    ("spans", "kind", "number", "said"),
    [
        ([(MIB, MIB), (2 * MIB, MIB), (3 * MIB, 1)], 0x83, 2, "not the last"),
        ([(3 * MIB, MIB), (2 * MIB, 2 * MIB)], 0x83, 2, "not the last"),
        ([(MIB, MIB)], 0x83, 2, "no such partition"),
        ([(MIB, 0)], 0x83, 1, "no such partition"),
        ([(MIB, 200 * MIB)], 0x83, 1, "smaller than its table"),
        ([(MIB, MIB), (2 * MIB, MIB)], 0x0F, 2, "told elsewhere"),
        ([(1, 90 * MIB)], 0xEE, 1, "told elsewhere"),
    ],
)
def test_an_mbr_that_is_not_as_ours_is_left_alone(
    spans: list[tuple[int, int]], kind: int, number: int, said: str
) -> None:
    with pytest.raises(table.Unclear, match=said):
        grown({0: bytes(mbr(spans, kind))}, 100 * MIB, number)


def test_a_disk_without_a_table_is_left_alone() -> None:
    with pytest.raises(table.Unclear, match="no partition table"):
        grown({}, 100 * MIB, 2)


# GPT


@given(layouts(), some.integers(table.LEAST + 2 * MIB, 1 << 36))
def test_the_last_partition_of_a_gpt_grows_again_and_again_and_both_tables_tell_it(
    layout: tuple[list[tuple[int, int]], int], more: int
) -> None:
    spans, sectors = layout
    disk = gpt(spans, sectors)
    assert grown(disk, sectors, len(spans)) is None or sectors - sum(spans[-1]) > table.LEAST

    for size in (sectors + more, sectors + 2 * more, sectors + 3 * more):
        found = grown(disk, size, len(spans))
        assert found
        disk = applied(disk, found)

        end = (size - 33) // MIB * MIB
        wanted = [*spans[:-1], (spans[-1][0], end - spans[-1][0])]
        assert (found.start, found.size) == wanted[-1]
        assert spans_of(disk) == spans_of(disk, size - 1) == wanted
        assert identity(read(disk, 0, HEAD // SECTOR)) == identity(read(gpt(spans, sectors), 0, 2))
        assert int.from_bytes(disk[0][458:462], "little") == min(size - 1, (1 << 32) - 1)
        assert grown(disk, size, len(spans)) is None, "once is enough"


@given(layouts(), some.integers(1, 3), some.randoms())
def test_the_power_may_go_between_any_two_sectors_and_the_table_is_the_old_one_or_the_new(
    layout: tuple[list[tuple[int, int]], int], times: int, chance: random.Random
) -> None:
    spans, sectors = layout
    disk = gpt(spans, sectors)
    for _ in range(times):
        sectors += 100 * MIB
        found = grown(disk, sectors, len(spans))
        assert found
        old, new = spans_of(disk), spans_of(applied(disk, found))
        for step, (sector, data) in enumerate(found.writes):
            # of what is not yet synced, a disk may have written any sectors
            pieces = range(0, len(data), SECTOR)
            some_of_them = chance.sample(pieces, chance.randrange(len(pieces) + 1))
            cut = applied(disk, table.Growth(0, 0, found.writes[:step]))
            for at in some_of_them:
                cut[sector + at // SECTOR] = data[at : at + SECTOR]
            assert spans_of(cut) in (old, new)

            again = grown(cut, sectors, len(spans))
            whole = applied(cut, again) if again else cut
            assert spans_of(whole) == spans_of(whole, sectors - 1) == new, (
                "the next start brings it to its end"
            )
        disk = applied(disk, found)


SPANS = [(MIB, 10 * MIB), (11 * MIB, 20 * MIB)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({1: bytes(100) + b"x" + bytes(411)}, "header is damaged"),
        ({1: header(rows(SPANS), 40 * MIB)[:511] + b"x"}, "header is damaged"),
        ({1: header(rows(SPANS), 40 * MIB, here=2)}, "not the usual one"),
        ({1: header(rows(SPANS), 40 * MIB, rows=64)}, "not the usual one"),
        ({1: header(rows(SPANS), 40 * MIB, row=256)}, "not the usual one"),
        ({1: header(rows(SPANS), 40 * MIB, array=1 << 40)}, "not the usual one"),
        ({2: rows(SPANS)[: SECTOR - 1] + b"x"}, "entries are damaged"),
        ({MIB - 32: b"loader".ljust(SECTOR, b"\0")}, "something is where"),
        ({MIB - 1: b"loader".ljust(SECTOR, b"\0")}, "something is where"),
    ],
)
def test_a_gpt_that_is_not_as_ours_is_left_alone(changed: dict[int, bytes], said: str) -> None:
    disk = gpt(SPANS, 40 * MIB) | changed
    if 1 in changed and changed[1][:8] != b"EFI PART":
        disk[1] = b"EFI PART" + changed[1][8:]

    with pytest.raises(table.Unclear, match=said):
        grown(disk, 100 * MIB, 2)


def test_entries_that_are_elsewhere_or_have_no_second_place_are_left_alone() -> None:
    disk = gpt(SPANS, 40 * MIB)
    put(disk, 100, rows(SPANS))
    disk[1] = header(rows(SPANS), 40 * MIB, array=100)
    with pytest.raises(table.Unclear, match="no room"):
        grown(disk, 100 * MIB, 2)
    with pytest.raises(table.Unclear, match="no room"):
        grown(gpt([(60, 10 * MIB)], 40 * MIB), 100 * MIB, 1)


def test_an_image_that_is_written_over_a_grown_disk_grows_again() -> None:
    before = gpt(SPANS, 40 * MIB)
    found = grown(before, 100 * MIB, 2)
    assert found
    after = applied(before, found) | {sector: before[sector] for sector in range(3)}

    again = grown(after, 200 * MIB, 2)

    assert again
    assert spans_of(applied(after, again)) == [SPANS[0], (11 * MIB, 188 * MIB)]


def test_a_hybrid_s_mbr_stays_as_it_is() -> None:
    disk = gpt(SPANS, 40 * MIB) | {0: bytes(mbr([(1, 100), (MIB, MIB)], 0xEE))}
    found = grown(disk, 100 * MIB, 2)

    assert found
    assert applied(disk, found)[0] == disk[0]


@given(some.binary(max_size=1024), some.integers(0, 1 << 40), some.integers(-1, 200))
def test_whatever_a_disk_has_it_is_understood_or_refused(start: bytes, sectors: int, number: int) -> None:
    padded = start.ljust(1024, b"\0")
    for head in (
        padded,
        padded[:510] + b"\x55\xaa" + padded[512:],
        padded[:510] + b"\x55\xaaEFI PART" + padded[520:],
    ):
        disk: dict[int, bytes] = {}
        put(disk, 0, head)
        try:
            found = grown(disk, sectors, number)
        except table.Unclear:
            continue
        assert found is None or found.size > 0
