"""Blocks of lines: cut, stamped, routed, limited."""

from __future__ import annotations

import random
import re
import time

import pytest

from initfs.log import lines, stamp
from initfs.log.expression import Expression, literal
from initfs.log.limits import Limits
from initfs.log.route import Route
from initfs.log.script import parse
from initfs.log.star import Star
from initfs.notify import ere

NANO = 10**9


def test_a_block_is_whole_lines_and_a_nul_ends_a_line() -> None:
    # LOG-102 (partly)
    assert lines.cut(b"a\nb\nc", 8192) == lines.Cut(b"a\nb\n", 4)
    assert lines.cut(b"a\0b\0", 8192) == lines.Cut(b"a\nb\n", 4)
    assert lines.cut(b"a\nb", 8192, ended=True) == lines.Cut(b"a\nb\n", 3)
    assert lines.cut(b"abc", 8192) == lines.NOTHING


@pytest.mark.parametrize("size", range(46, 200))
def test_a_line_is_split_after_the_limit_wherever_the_reads_end(size: int) -> None:
    # LOG-102
    data = b"short\n" + b"x" * size + b"\nend\n"
    expected = (
        b"short\n" + b"".join(b"x" * len(x) + b"\n" for x in re.findall("x{1,48}", "x" * size)) + b"end\n"
    )
    for first in range(len(data)):
        got, rest = b"", b""
        for piece in (data[:first], data[first:]):
            rest += piece
            cut = lines.cut(rest, 48)
            got, rest = got + cut.block, rest[cut.used :]
        assert (got, rest) == (expected, b"")


def test_what_was_cut_can_be_cut_again_from_its_raw_bytes_alone() -> None:
    # LOG-100 (partly)
    data = b"a\0" + b"y" * 130 + b"\n" + b"z" * 100
    cut = lines.cut(data, 48)
    assert lines.cut(data[: cut.used], 48, ended=True).block == cut.block


def test_a_line_without_a_limit_comes_in_pieces() -> None:
    # LOG-102 (partly)
    cut = lines.cut(b"x" * lines.WHOLE, 0)
    assert cut == lines.Cut(b"x" * lines.WHOLE, lines.WHOLE, True)
    assert lines.cut(b"x" * (lines.WHOLE - 1), 0) == lines.NOTHING


def test_stamps_are_what_the_specification_says() -> None:
    # LOG-094
    moment = 1_795_180_688_613_065_001
    assert stamp.label(moment) == b"@" + b"%016x" % (2**62 + 1_795_180_688 + 37) + b"%08x " % 613065001
    assert stamp.label(moment, 10) == b"@" + b"%016x" % (2**62 + 1_795_180_688 + 10) + b"%08x " % 613065001
    calendar = time.gmtime(moment // NANO)
    assert stamp.local(calendar, moment) == b"2026-11-20 13:18:08.613065001  "
    assert stamp.human(calendar, moment, "_") == b"2026-11-20_13:18:08.61306 "
    assert stamp.label(-(10**30)).startswith(b"@0000")


def test_a_block_is_stamped_line_by_line() -> None:
    # LOG-094 (partly)
    assert stamp.before_each(b"> ", b"a\n\nb\n") == b"> a\n> \n> b\n"
    assert stamp.before_each(b"> ", b"a\nb") == b"> a\n> b"
    assert stamp.before_each(b"", b"a\n") == b"a\n"


def test_stamps_that_would_make_too_much_of_a_block_are_refused() -> None:
    for end in (b"", b"x"):
        assert stamp.before_each(b"12345", b"\n" * 99 + end, 500)
        assert stamp.before_each(b"12345", b"\n" * 200 + end)
        with pytest.raises(stamp.TooMuch):
            stamp.before_each(b"12345", b"\n" * 200 + end, 500)


@pytest.mark.parametrize("limit", [0, 48])
def test_a_block_of_very_short_lines_is_taken_in_parts(limit: int) -> None:
    data = b"a\n" * 1000 + b"\0" * 1000 + b"x" * 500 + b"\n" * 1001 + b"unended"
    rest, blocks = data, []
    while (cut := lines.cut(rest, limit)).used:
        part = lines.fewer(cut, rest, limit, 100)
        assert 0 < part.used <= cut.used
        assert part.block.count(b"\n") <= 100
        assert lines.cut(rest[: part.used], limit, ended=True).block == part.block
        blocks.append(part.block)
        rest = rest[part.used :]
    assert rest == b"unended"
    assert b"".join(blocks) == lines.cut(data, limit).block


def test_of_a_block_of_short_lines_the_first_line_is_taken_at_least() -> None:
    for data in (b"x" * 500 + b"\n" * 5000, b"x" * 500 + b"\0" * 5000, b"x" * 500):
        cut = lines.cut(data, 48)
        part = lines.fewer(cut, data, 48, 1)
        assert cut.used >= part.used >= 480
    assert lines.first(b"a\0b\nc") == b"a\0"
    assert lines.first(b"ab") == b""


def routed(script: str, text: bytes) -> list[bytes]:
    return Route(parse(script.split()).steps, Expression).block(text)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("/a", [b"1\n2\n12\n"]),
        ("- /a", [b""]),
        ("- +1 /a", [b"1\n12\n"]),
        ("-1 /a", [b"2\n"]),
        ("- +1 /a f /b", [b"1\n12\n", b"2\n"]),
        ("- +1 /a +2 /b", [b"1\n12\n", b"1\n2\n12\n"]),
        ("- +1 /a - +2 /b", [b"1\n12\n", b"2\n12\n"]),
        ("- +1 -2 /a", [b"1\n"]),
        ("- +1 /a /b -2 /c f /d", [b"1\n12\n", b"1\n12\n", b"1\n", b"2\n"]),
        ("- +9 /a f /b", [b"", b"1\n2\n12\n"]),
        ("- +^1$ /a", [b"1\n"]),
        ("f /a f /b + /c", [b"1\n2\n12\n", b"", b"1\n2\n12\n"]),
    ],
)
def test_lines_go_where_the_script_says(script: str, expected: list[bytes]) -> None:
    # LOG-092 LOG-108 (partly)
    assert routed(script, b"1\n2\n12\n") == expected


def test_looking_at_a_block_and_at_each_line_gives_the_same() -> None:
    # LOG-092 (partly) LOG-108
    chance = random.Random(7)
    words = ["+", "-", "+a", "-a", "+^b", "-b$", "+a|b", "f", "/x", "+.", "-^$", "+[^a]$", "-ab"]
    for _ in range(600):
        chosen = [chance.choice(words) for _ in range(chance.randint(1, 7))] + ["/y"]
        text = b"".join(
            b"".join(chance.choice([b"a", b"b", b"c", b"\r"]) for _ in range(chance.randint(0, 4))) + b"\n"
            for _ in range(9)
        )
        route = Route(parse(chosen).steps, Expression)
        assert route.block(text) == route._lines(text), (chosen, text)


@pytest.mark.parametrize(
    "source",
    [
        "a",
        "^a",
        "a$",
        "^$",
        ".",
        "a.c",
        "[^b]",
        "[[:space:]]",
        "x*",
        "ab|cd",
        "^a|b$",
        "(a|b)+c",
        "a{2}",
        "^ab*$",
        "^",
        "^a*",
        "^.*b$",
        "^(a|b)c",
        "^(a|b)|c",
        "^((a|b)c)",
        "^*a",
        "^^b",
        "b$|^c",
        "\n",
    ],
)
def test_an_expression_over_a_block_matches_the_lines_that_it_matches_alone(source: str) -> None:
    # LOG-092 (partly)
    alone = re.compile(ere.translate(source).encode(), re.DOTALL)
    expression = Expression(source)
    chance = random.Random(source)
    for dense in (1, 3, 40):
        rows = [
            b"".join(
                chance.choice([b"a", b"b", b"c", b" ", b"dd"] + [b"zz"] * dense)
                for _ in range(chance.randint(0, 5))
            )
            for _ in range(200)
        ]
        text = b"".join(row + b"\n" for row in rows)
        kept = b"".join(row + b"\n" for row in rows if alone.search(row))
        assert expression.keep(text) == kept
        assert expression.drop(text) == b"".join(row + b"\n" for row in rows if not alone.search(row))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("text|daemon[0-9]", b"text"),
        ("[a|b]c|de", b"de"),
        ("[]|]c|de", b"de"),
        ("plain", b"plain"),
        ("a.c", b""),
        ("^a", b""),
        ("(a|b)", b""),
        (r"a\|b", b""),
        ("[[:alpha:]|x]", b""),
        ("a{2}|b+", b""),
    ],
)
def test_an_alternative_without_special_characters_stands_for_itself(source: str, found: bytes) -> None:
    assert literal(source) == found


@pytest.mark.parametrize("odd", [b"", b"an a5\n", b"none\n", b"zz\rzz\n", b"a5 none\n"])
def test_when_all_lines_but_one_have_the_same_word_that_one_is_found(odd: bytes) -> None:
    # LOG-092 (partly)
    expression = Expression("zz|a[0-9]")
    for at in (0, 20, 700, 1999):
        rows = [b"line %d zz\n" % number for number in range(2000)]
        rows.insert(at, odd)
        drops = [odd] if odd == b"none\n" else []
        assert expression.drop(b"".join(rows)) == b"".join(drops)
        assert expression.keep(b"".join(rows)) == b"".join(row for row in rows if row not in drops)


@pytest.mark.parametrize("source", ["zz|a[0-9]", "z(z|q)"])
def test_what_the_last_block_was_like_decides_nothing_about_the_next(source: str) -> None:
    expression = Expression(source)
    all_, none, some = b"x zz y\n" * 100, b"x yy y\n" * 100, b"x zz y\nx yy y\n" * 50
    for before in (all_, none, some, all_ + b"unended zz", all_ + b"unended"):
        for text in (all_, none, some, all_ + none, none + all_, all_ + b"unended", b""):
            expression.keep(before)
            kept = [line for line in text.splitlines(keepends=True) if b"zz" in line]
            assert expression.keep(text) == b"".join(kept)
            expression.drop(before)
            left = [line for line in text.splitlines(keepends=True) if b"zz" not in line]
            assert expression.drop(text) == b"".join(left)


def test_star_patterns_have_one_reading() -> None:
    # LOG-110
    sample = b"2005-12-18_09:13:50.97618 tcpsvd: info: pid 1977 from 10.4.1.14\n"
    line = sample.partition(b" ")[2]
    assert not Star("*pid*").one(line)  # the first p is in tcpsvd
    assert Star("*: *: pid *").one(line)
    assert Star("tcpsvd:+ info:+ pid+ *").one(line)
    assert Star("a+bc").one(b"abbbc\n")
    assert not Star("a+bbc").one(b"abbbc\n")
    assert not Star("a*b").one(b"axbxb\n")  # the star ends at the first b
    assert Star("a*").one(b"a\n")
    assert not Star("b").one(b"bb\n")
    assert Star("abc", 3).one(b"abcdef\n")
    assert Star("a+b", plus=False).one(b"a+b\n")


def test_repeated_lines_are_folded_across_blocks_and_told() -> None:
    limits = Limits(0, fold=True)
    assert limits.pass_on(b"a\na\nb\nb\n", 0) == b"a\nlast line repeated 1 time\nb\n"
    assert limits.pass_on(b"b\nc\n", 0) == b"last line repeated 2 times\nc\n"
    assert limits.pass_on(b"c\n", 0) == b""
    again = Limits(0, fold=True)
    again.restore(limits.state())
    assert again.tell() == b"last line repeated 1 time\n"
    assert not again.holding


def test_more_lines_a_second_than_are_wanted_are_left_out_and_counted() -> None:
    limits = Limits(3, fold=False)
    assert limits.pass_on(b"1\n2\n", 5 * NANO) == b"1\n2\n"
    assert limits.pass_on(b"3\n4\n5\n", 5 * NANO + 1) == b"3\n"
    assert limits.pass_on(b"6\n", 6 * NANO) == b"2 lines left out, more than 3 a second\n6\n"
    assert not limits.holding
