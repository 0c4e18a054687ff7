"""TAI64N stamps: the two conventions, and what is no stamp."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs import tai

NS = st.integers(-(2**61), 2**61)


@given(NS, st.sampled_from([tai.DJB, tai.LEAP]))
def test_a_moment_survives_both_spellings_in_both_conventions(ns: int, offset: int) -> None:
    assert tai.unpack(tai.pack(ns, offset), offset) == ns
    assert tai.parse(tai.label(ns, offset), offset) == ns


@given(NS, NS)
def test_later_moments_sort_later_except_at_a_leap_second(one: int, other: int) -> None:
    assert (one <= other) == (tai.pack(one) <= tai.pack(other))
    assert (one <= other) == (tai.label(one) <= tai.label(other))


def test_the_known_label_of_a_known_moment() -> None:
    moment = 1_700_000_000 * tai.NANO + 5
    assert tai.label(moment, tai.DJB) == "@" + f"{2**62 + 1_700_000_010:016x}" + "00000005"
    assert tai.label(moment) == "@" + f"{2**62 + 1_700_000_037:016x}" + "00000005"


def test_every_leap_second_was_at_the_end_of_june_or_december() -> None:
    days = [dt.datetime.fromtimestamp(second, dt.UTC) for second in tai.LEAPS]
    assert len(days) == 27
    assert {(day.month, day.day, day.hour, day.minute, day.second) for day in days} == {
        (1, 1, 0, 0, 0),
        (7, 1, 0, 0, 0),
    }
    assert [tai.offset_at(second) - tai.offset_at(second - 1) for second in tai.LEAPS] == [1] * 27
    assert tai.offset_at(0) == 10
    assert tai.offset_at(2**33) == 37


def test_a_leap_second_itself_is_the_second_after_it() -> None:
    after = tai.LEAPS[-1]
    inserted = (2**62 + after + 36).to_bytes(8, "big") + bytes(4)
    assert tai.unpack(inserted, tai.LEAP) == after * tai.NANO


@pytest.mark.parametrize("data", [b"", bytes(11), bytes(8) + b"\xff" * 4])
def test_what_is_no_stamp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a TAI64N"):
        tai.unpack(data)


@given(st.text(max_size=30))
def test_what_is_no_label_is_refused_with_one_kind_of_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert tai.label(tai.parse(text)) == text.lower()


@pytest.mark.parametrize(
    "text", ["", "@", "4" + "0" * 24, "@" + "0" * 23 + " ", "@" + "0" * 23 + "g", "@" + "0" * 25]
)
def test_near_labels_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 fromhex has words of its own
        tai.parse(text)
