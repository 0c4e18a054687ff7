"""POSIX extended expressions, against the words of the standard and against grep -E."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initfs.notify.ere import CLASSES, Expression, translate


@pytest.mark.parametrize(
    ("expression", "received", "length"),
    [
        ("b", b"ab", 2),
        ("ab+c", b"abbcx", 4),
        ("u|U", b"sU", 2),
        ("^d", b"ud", None),
        ("^ab$", b"abc", 2),  # asked after each byte: it matched when there were two
        ("b$", b"aba", 2),
        ("[[:upper:]]", b"duU", 3),
        ("[^[:lower:]]", b"duU", 3),
        ("[]x]", b"a]", 2),
        ("[a\\]", b"\\", 1),
        ("[a-c]{2}", b"axbc", 4),
        ("[[.a.]-c]", b"b", 1),
        ("[[=u=]]", b"u", 1),
        ("[a-]", b"-", 1),
        ("[x^]", b"^", 1),
        ("a*+b", b"aab", 3),
        ("a.b", b"a\nb", 3),
        ("a$", b"\n", None),
        ("\\.", b"x.", 2),
        ("\\d", b"1d", 2),
        ("(d|D)u", b"Du", 2),
        ("a{,2}", b"a{,2}", 5),
        ("", b"s", 1),
        ("\u00e9", "é".encode(), 2),
    ],
)
def test_it_matches_as_soon_as_posix_says(expression: str, received: bytes, length: int | None) -> None:
    # NOT-144
    assert Expression(expression).first(received) == length
    one_by_one = next(
        (n for n in range(1, len(received) + 1) if Expression(expression).first(received[:n], n - 1)), None
    )
    assert one_by_one == length


@pytest.mark.parametrize(
    "text",
    [
        "(",
        "a(b",
        "[",
        "[a",
        "[]",
        "[^]",
        "[[:nope:]]",
        "[z-a]",
        "*",
        "(*a)",
        "a|*",
        "(?:a)",
        "\\",
        "a{9999999999}",
        "(" * 9999,
    ],
)
def test_what_is_no_expression_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Expression(text)


@given(st.text("ab[]()^$.*+?{}|\\-:12,=", max_size=12), st.binary(max_size=20))
def test_no_expression_does_anything_but_match_or_be_refused(text: str, received: bytes) -> None:
    try:
        expression = Expression(text)
    except ValueError:
        return
    length = expression.first(received)
    assert length is None or 0 < length <= len(received)


SAFE = st.recursive(
    st.sampled_from(["a", "b", "u", ".", "[ab]", "[^a]", "[[:alpha:]]", "^", "$", "\\.", "(a|b)", "-"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda two: f"({two[0]}){two[1]}"),
    ),
    max_leaves=6,
)


@pytest.mark.skipif(shutil.which("grep") is None, reason="grep is not installed")
@settings(max_examples=120, deadline=None)
@given(SAFE, st.text("abuU.-", max_size=8))
def test_it_agrees_with_grep(expression: str, received: str) -> None:
    theirs = subprocess.run(
        ["grep", "-Eq", "-e", expression],
        input=received.encode() + b"\n",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    ours = any(Expression(expression)._matches(received.encode(), n) for n in [len(received)])
    assert ours == (theirs.returncode == 0)


def test_every_class_of_posix_is_known() -> None:
    assert len(CLASSES) == 12
    for name in CLASSES:
        assert translate(f"[[:{name}:]]") == f"[{CLASSES[name]}]"


def test_many_events_at_once_are_searched_in_logarithmic_steps() -> None:
    received = b"a" * 60000 + b"b" + b"a" * 5000
    assert Expression("b").first(received) == 60001
