"""The language of logging scripts."""

from __future__ import annotations

import pytest

from initfs.log.script import Action, BadScript, Match, Otherwise, Policy, parse


def only(words: str) -> Action:
    """The last action of a script."""
    return parse(words.split()).actions[-1]


def test_the_controls_have_the_defaults_of_the_specification() -> None:
    # LOG-096 (partly)
    assert only("/d").policy == Policy(10, -1, 99999, 0, 2000, 2.0, 0.0, ())
    assert (only("2").size, only("=f").size) == (200, 1001)


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("n3 /d", "count", 3),
        ("s1 /d", "size", 4096),
        ("s999999999999 /d", "size", 268435455),
        ("S20000 /d", "total", 20000),
        ("l10 /d", "tolerance", 10),
        ("r50 /d", "retry", 0.05),
        ("R7 /d", "period", 7.0),
        ("?gzip /d", "processor", ("/bin/sh", "-c", "gzip")),
        ("!gzip /d", "processor", ("chain", "-Pc", "gzip")),
        ("!gzip ! /d", "processor", ()),
    ],
)
def test_a_control_sets_what_it_is_for(words: str, field: str, value: object) -> None:
    # LOG-096 (partly) LOG-097 (partly)
    assert getattr(only(words).policy, field) == value


def test_controls_last_and_stamps_are_for_one_action() -> None:
    # LOG-094 (partly) LOG-095 (partly) LOG-096
    first, second, third = parse(["t", "T", "pX:", "n3", "/a", "/b", "p", "/c"]).actions
    assert (first.tai, first.local, first.prefix, first.policy.count) == (True, True, "X: ", 3)
    assert (second.tai, second.local, second.prefix, second.policy.count) == (False, False, "X: ", 3)
    assert third.prefix == ""


def test_selections_are_steps_in_their_order() -> None:
    # LOG-092 (partly)
    found = parse(["-", "+fatal: ", "2", "f", "/d"]).steps
    assert found[0] == Match("", False)
    assert found[1] == Match("fatal: ", True)
    assert found[3] == Otherwise()
    assert [step.kind for step in (found[2], found[4]) if isinstance(step, Action)] == ["alert", "directory"]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "t",
        "n",
        "nx /d",
        "q /d",
        "= /d",
        "tt /d",
        "ff /d",
        "11",
        "2x",
        "l3000 s5000 /d",
        "s /d",
        "kx /d",
        "-x",
    ],
)
def test_a_bad_script_is_refused_and_the_word_is_named(words: str) -> None:
    # LOG-096 (partly)
    with pytest.raises(BadScript) as caught:
        parse(words.split(" ") if words else [])
    assert str(caught.value)
    if words and words not in ("t", "-x"):
        assert any(word and word in str(caught.value) for word in words.split(" "))


def test_directives_after_the_last_action_are_a_warning() -> None:
    assert parse(["1", "t"]).warnings
    assert not parse(["t", "1"]).warnings


def test_our_own_controls() -> None:
    found = parse(["m100", "u", "/d"])
    assert (found.rate, found.fold) == (100, True)
