from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.chain.substitute import in_word, in_words, split
from initfs.chain.words import BadScript, block, lex, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = st.binary(max_size=12).filter(lambda word: b"\0" not in word).map(os.fsdecode)
# An empty block and an empty word are the same word, told apart by who expects a block: here nobody does.
TREE = st.recursive(WORD, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12)
PLAIN = st.text("abc ${}\\", max_size=12)


@given(st.lists(WORD))
def test_what_is_quoted_is_lexed_to_the_same_words(words: list[str]) -> None:  # CHA-140
    assert lex(quote(words)) == words


@given(st.binary(max_size=60))
def test_any_bytes_are_a_command_line_or_a_bad_script(script: bytes) -> None:  # CHA-140
    try:
        words = lex(script)
    except BadScript as error:
        assert str(error).startswith("line ")  # noqa: PT017
    else:
        assert all("\0" not in word for word in words)


def plain(tree: Sequence[object]) -> bool:
    """No word at this level begins with a space: in execline's encoding that is what a block's words begin with."""
    return all(plain(each) if isinstance(each, list) else not str(each).startswith(" ") for each in tree)


@given(st.lists(TREE, max_size=5).filter(plain))
def test_blocks_nest_and_are_found_again(tree: list[object]) -> None:  # CHA-140
    assert parsed(lex(written(tree))) == tree


def written(tree: list[object]) -> bytes:
    return b" ".join(
        b"{ " + written(each) + b" }" if isinstance(each, list) else quote([str(each)]) for each in tree
    )


def parsed(words: list[str]) -> list[object]:
    """The tree again: at each level a block is what begins with a space."""
    found: list[object] = []
    while words:
        taken = block(words) if words[0].startswith(" ") else None
        if taken is not None:
            inner, words = taken
            found.append(parsed(inner))
        else:
            found.append(words[0])
            words = words[1:]
    return found


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"", []), (b"# only", []), (b"a#b #c\nd", ["a#b", "d"]), (b'""', [""]), (b'a"b c"d', ["ab cd"]),
        (b"a\\ b \\{ \\}", ["a b", "{", "}"]), (b'"{"', ["{"]), (b"{}", ["{}"]), (b"a{ }b", ["a{", "}b"]),
        (b"{ a { b } } c", [" a", "  b", " ", "", "c"]), (b'"\\0x41\\0101\\65"', ["AAA"]), (b'"a\\\nb"', ["ab"]),
        (b"a\\\nb", ["a\nb"]), (b'"\\a\\b\\t\\n\\v\\f\\r\\q"', ["\a\b\t\n\v\f\rq"]), (b'"#"', ["#"]),
        (b"a\x0bb\x01c\x1f#d\x0c\n\x7fe\r", ["a", "b", "c", "\x7fe"]),
    ],
)  # fmt: skip
def test_words(script: bytes, words: list[str]) -> None:  # CHA-140
    assert lex(script) == words


@pytest.mark.parametrize(
    "script", [b"{", b"}", b'"', b"\\", b'"\\', b'"\\0"', b'"\\0x"', b'"\\256"', b"\0", b"{ } }"]
)
def test_bad_scripts(script: bytes) -> None:  # CHA-140
    with pytest.raises(BadScript):
        lex(script)


@pytest.mark.parametrize("words", [[], ["a"], [" a"], [" a", "b", ""], ["a", ""]])
def test_what_is_no_block(words: list[str]) -> None:  # CHA-140
    assert block(words) is None


def test_a_block_by_hand() -> None:  # CHA-140
    assert block([" a", "  b", " ", "", "c"]) == (["a", " b", ""], ["c"])
    assert block(["", "c"]) == ([], ["c"])


@given(PLAIN)
def test_a_variable_that_is_not_meant_changes_nothing(word: str) -> None:  # CHA-140
    assert in_word(word, {"nosuch": ["x"]}) == [word]


@given(PLAIN, PLAIN)
def test_a_value_is_never_looked_at_again(before: str, value: str) -> None:  # CHA-140
    start = before.replace("$", "").rstrip("\\")
    assert in_word(start + "${v}", {"v": [value]}) == [start + value]


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("$a", ["1"]), ("${a}", ["1"]), ("$ab", ["$ab"]), ("x$a", ["x1"]), ("$a$a", ["11"]), ("${a}x$a", ["1x1"]),
        ("\\$a", ["$a"]), ("\\\\${a}", ["\\1"]), ("\\\\\\${a}", ["\\${a}"]), ("\\x", ["\\x"]), ("$l", ["p", "q"]),
        ("${l}${l}", ["pp", "pq", "qp", "qq"]), ("x${n}", []), ("$", ["$"]), ("${a", ["${a"]), (" ${l}", [" p", " q"]),
    ],
)  # fmt: skip
def test_substitution(word: str, wanted: list[str]) -> None:  # CHA-140
    values = {"a": ["1"], "l": ["p", "q"], "n": []}
    assert in_word(word, values) == wanted
    assert in_words([word, "z"], values) == [*wanted, "z"]


def test_splitting() -> None:  # CHA-140
    assert split("a b\nc") == ["a", "b", "c"]
    assert split("a::b:", ":") == ["a", "", "b"]
    assert split("::a::b", ":", crunch=True) == ["a", "b"]
    assert split("") == []
