"""Rotation, recovery, and the record of a block in work."""

from __future__ import annotations

import itertools
import random

import pytest

from initfs import tai
from initfs.log import facility, moments, record, rotate
from initfs.log.record import Place, Record

LABEL = "@400000006b0048b5248aa14b"


def test_only_archives_are_archives() -> None:
    # LOG-099 (partly)
    assert rotate.is_archive(LABEL + ".s")
    assert rotate.is_archive(LABEL + ".u")
    for name in (
        LABEL,
        LABEL + ".t",
        LABEL + ".ss",
        LABEL[:-1] + "g.s",
        "x" + LABEL[1:] + ".s",
        LABEL.upper() + ".s",
        "current",
    ):
        assert not rotate.is_archive(name)


@pytest.mark.parametrize(
    ("count", "total", "gone"),
    [
        (10, 0, []),
        (2, 0, ["a"]),
        (0, 0, ["a", "b", "c"]),
        (10, 25, ["a"]),
        (10, 5, ["a", "b", "c"]),
        (1, 25, ["a", "b"]),
    ],
)
def test_the_oldest_go_until_count_and_total_are_kept(count: int, total: int, gone: list[str]) -> None:
    # LOG-099
    assert rotate.surplus([("c", 10), ("a", 10), ("b", 10)], count, total) == gone


def test_a_piece_ends_with_the_line_that_fills_the_file() -> None:
    # LOG-098 (partly)
    text = b"12\n45\n78\n"
    assert rotate.piece(text, 0, 9, 100) == 9
    assert [rotate.piece(text, 0, 9, left) for left in (1, 3, 4, 6, 7, 9)] == [3, 3, 6, 6, 9, 9]
    assert rotate.piece(text, 3, 9, 1) == 6
    assert rotate.piece(text, 0, 9, -5) == 3
    assert rotate.piece(text, 3, 5, 2) == 5
    assert rotate.piece(b"no newline", 0, 10, 3) == 10


def test_names_stay_in_order_when_the_clock_is_set_back_by_50_years() -> None:
    # LOG-099 (partly)
    now = 1_795_180_688_613_065_001
    first = rotate.next_label(now, "")
    second = rotate.next_label(now - 50 * 365 * 86400 * 10**9, first + ".s")
    third = rotate.next_label(now - 1, second + ".u")
    assert first < second < third
    assert all(rotate.is_archive(label + ".s") for label in (first, second, third))
    assert first == tai.label(now)


def test_what_an_interrupted_directory_needs() -> None:
    # LOG-100
    plan = rotate.recovery
    assert plan({"current", "state"}, {"current"}) == ()
    assert list(plan(set(), set())) == []
    assert list(plan({"current"}, set())) == [("archive.u", "current")]
    assert list(plan({"current", "previous", "state", "newstate"}, set())) == [
        ("remove", "state"), ("remove", "newstate"), ("archive.u", "previous"), ("archive.u", "current"),
    ]  # fmt: skip
    assert list(plan({"current", "previous", "processed"}, set())) == [
        ("remove", "processed"), ("archive.u", "previous"), ("archive.u", "current"),
    ]  # fmt: skip
    assert list(plan({"current", "previous", "processed"}, {"processed"})) == [
        ("remove", "previous"), ("archive.s", "processed"), ("archive.u", "current"),
    ]  # fmt: skip


def test_a_record_comes_back_as_it_was_and_nonsense_is_none() -> None:
    # LOG-100 (partly)
    one = Record(
        b"b" * 16, 7, 4096, 5000, 6000, 0, 123, 1 << 63 | 5, (Place(1, 2, 3), Place(4, 5, 6)), b"state"
    )
    data = record.encode(one)
    assert record.decode(data.ljust(record.SIZE, b"\0")) == one
    for size in range(len(data)):
        assert record.decode(data[:size]) is None
    assert record.decode(b"") is None
    assert record.decode(record.encode(Record(b"", 0, 4096, 4000, 6000))) is None


def test_a_record_fits_into_its_page() -> None:
    places = (Place(2**64 - 1, 2**64 - 1, 2**64 - 1),) * record.PLACES_MAX
    assert (
        len(record.encode(Record(b"", 0, 4096, 4096, 4096, 0, 0, 0, places, b"s" * record.STATE_MAX)))
        <= record.SIZE
    )


def test_what_was_moved_after_the_record_is_found_behind_it() -> None:
    # LOG-100 (partly)
    blank = record.BLANK
    one = Record(b"", 0, 4096, 4100, 4110)
    known = b"0123456789abcd"
    for size in range(20):
        new = b"n" * size
        assert record.filled(one, known + new) == known + new  # the file has grown
        assert record.filled(one, known + new + blank * 30) == known + new  # blanks were overwritten
    exact = Record(b"", 0, 4096, 4100, 4110, record.EXACT)
    assert record.filled(exact, known + blank * 3) == known + blank * 3
    limited = Record(b"", 0, 4096, 4100, 4110, 4130)
    assert record.filled(limited, known + b"new" + blank * 17 + b"old bytes") == known + b"new"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"<13>x", b"user.notice: x"),
        (b"<0>x", b"kern.emerg: x"),
        (b"<36>x", b"auth.warning: x"),
        (b"<86>x", b"authpriv.info: x"),
        (b"<191>x", b"local7.debug: x"),
        (b"<100>x", b"unknown.warning: x"),
        (b"<9999>x", b"unknown.debug: x"),
        (b"<x>x", b"<x>x"),
        (b"<13x", b"<13x"),
        (b"<>x", b"<>x"),
        (b"13>x", b"13>x"),
        (b"", b""),
    ],
)
def test_numbers_of_syslog_have_names(line: bytes, expected: bytes) -> None:
    # LOG-115 (partly)
    assert facility.named(line) == expected


def test_the_moment_of_a_line_is_in_its_stamp_whoever_wrote_it() -> None:
    moment = 1_795_180_688_613_065_001
    label = tai.label(moment).encode()

    def split(line: bytes) -> tuple[int | None, bytes]:
        return moments.split(line, moments.utc, tai.LEAP)

    assert split(label + b" text") == (moment, b"text")
    assert split(b"2026-11-20 13:18:08.613065001  text") == (moment, b"text")
    assert split(b"2026-11-20_13:18:08.61306 text") == (moment // 10000 * 10000, b"text")
    assert split(b"2026-11-20T13:18:08.61306 text") == (moment // 10000 * 10000, b"text")
    for line in (b"", b"text", b"@text", b"2026-99-20 13:18:08.613065001  text", label[:-1]):
        assert split(line) == (None, line)


def test_people_name_moments() -> None:
    now = 1_795_180_688 * 10**9
    assert moments.named("90s", now, moments.utc) == now - 90 * 10**9
    assert moments.named("2d", now, moments.utc) == now - 2 * 86400 * 10**9
    assert moments.named("2026-11-20 13:18:08", now, moments.utc) == now
    assert moments.named("2026-11-20T13:18", now, moments.utc) == now - 8 * 10**9
    assert moments.named(tai.label(now), now, moments.utc) == now
    for text in ("", "tomorrow", "2026-11", "x5m", "2026-11-20 13"):
        with pytest.raises(ValueError, match=r".*"):
            moments.named(text, now, moments.utc)


def test_days_are_counted_right_over_four_centuries() -> None:
    import calendar

    chance = random.Random(3)
    for year, month in itertools.product(range(1890, 2301, 7), range(1, 13)):
        day = chance.randint(1, 28)
        assert moments.utc((year, month, day, 1, 2, 3)) == calendar.timegm((year, month, day, 1, 2, 3))
