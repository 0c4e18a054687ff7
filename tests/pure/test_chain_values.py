from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.chain.envdir import value
from initfs.chain.limits import BOTH, HARD, INFINITE, SOFT, changed
from initfs.chain.redirfd import ACCESS, flags
from initfs.chain.umask import mode
from initfs.say import Fatal

LIMIT = st.integers(0, 100) | st.just(INFINITE)


@pytest.mark.parametrize(
    ("content", "plain", "whole", "keep", "both"),
    [
        (b"", None, None, None, None),
        (b"\n", b"", b"", b"", b"\n"),
        (b" \t\n", b"", b" \t", b" \t", b" \t\n"),
        (b"v", b"v", b"v", b"v", b"v"),
        (b"v \r\n", b"v", b"v \r", b"v \r", b"v \r\n"),
        (b"a\0b \nc\n\n", b"a\nb", b"a\nb \nc\n", b"a\nb ", b"a\nb \nc\n\n"),
    ],
)
def test_the_value_of_a_file(
    content: bytes, plain: bytes, whole: bytes, keep: bytes, both: bytes
) -> None:  # CHA-123
    assert value(content) == plain
    assert value(content, whole=True) == whole
    assert value(content, keep=True) == keep
    assert value(content, whole=True, keep=True) == both


@given(st.binary())
def test_no_value_has_a_nul(content: bytes) -> None:  # CHA-123
    for whole in (False, True):
        assert b"\0" not in (value(content, whole=whole) or b"")


@given(LIMIT, LIMIT, LIMIT | st.none(), st.sampled_from([SOFT, HARD, BOTH]))
def test_a_soft_limit_is_never_above_the_hard_one(
    one: int, two: int, wanted: int | None, which: str
) -> None:  # CHA-127
    soft, hard = changed(min(one, two), max(one, two), wanted, which)
    assert soft <= hard
    assert which != SOFT or hard == max(one, two)
    assert which != BOTH or soft == hard == (INFINITE if wanted is None else wanted)
    assert which != HARD or soft <= min(one, two)


def test_the_access_flags_are_those_of_the_table() -> None:  # CHA-134
    assert {letter: flags([letter]) for letter in ACCESS} == {
        "r": os.O_RDONLY,
        "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        "u": os.O_RDWR,
        "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    }


@pytest.mark.parametrize("text", ["", "8", "-1", "0o7", "77777", "000000"])
def test_what_is_no_mask(text: str) -> None:
    with pytest.raises(Fatal):
        mode(text)
