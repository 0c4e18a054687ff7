"""A database's bytes: what was written is read, and nothing else is."""

from __future__ import annotations

from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.manager import codec
from initfs.manager.model import Database, Definition, Script
from initfs.manager.resolve import resolve

SOURCE = [
    Definition("web", "longrun", "src/web", depends=("net",), producers=("app",), pipeline="line"),
    Definition("app", "longrun", "src/app", consumer="web"),
    Definition(
        "net", "oneshot", "src/net", 1, (0, 5000), scripts=(Script(), Script(("true", "naïve")), Script())
    ),
    Definition("all", "bundle", "src/all", contents=("web", "line")),
]


def database() -> Database:
    made, faults = resolve(SOURCE)
    assert not faults, [str(fault) for fault in faults]
    return made


GOOD = codec.encode(database())


def test_a_database_comes_back_as_it_was() -> None:
    # SM-174 (partly)
    assert codec.decode(GOOD) == database()
    assert codec.problems(codec.decode(GOOD)) == []


def test_each_cut_and_each_flipped_bit_is_noticed() -> None:
    # SM-174 (partly)
    for length in range(len(GOOD)):
        with pytest.raises(codec.Invalid):
            codec.decode(GOOD[:length])
    for at in range(len(GOOD)):
        for bit in range(8):
            damaged = bytearray(GOOD)
            damaged[at] ^= 1 << bit
            with pytest.raises(codec.Invalid):
                codec.decode(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    # SM-174 (partly)
    for given_ in (data, GOOD + data[:1] + b"x", GOOD[:20] + data + GOOD[20 + len(data) + 1 :]):
        with pytest.raises(codec.Invalid):
            codec.decode(given_)


def test_a_right_sum_over_other_tables_is_no_database() -> None:
    # SM-174 (partly)
    for body in (b"N", b"i\1\0\0\0", b"(\0\0\0\0"):
        with pytest.raises(codec.Invalid):
            codec.decode(b"initfs-rc 1 %08x %d\n" % (crc32(body), len(body)) + body)
