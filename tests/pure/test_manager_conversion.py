from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.manager import graph
from initfs.manager.conversion import Conversion, Instruction, Refused, convert, instructions
from initfs.manager.model import BUNDLE, LONGRUN, ONESHOT, Definition
from initfs.manager.query import Index
from initfs.manager.resolve import resolve

KINDS = {"o": ONESHOT, "l": LONGRUN, "b": BUNDLE}


def made(*lines: str) -> Index:
    """An index of definitions: `o name needs...`, `l name needs...`, `b name contents...`, `oe` for an essential one."""
    definitions = []
    for line in lines:
        kind, name, *needs = line.split()
        given = {"contents": tuple(needs)} if kind[0] == "b" else {"depends": tuple(needs)}
        definitions.append(Definition(name, KINDS[kind[0]], name, int("e" in kind), **given))  # type: ignore[arg-type]
    database, faults = resolve(definitions)
    assert not faults
    return Index(database)


def change(
    old: Index, new: Index, text: str = "", *, down: str = "", force: bool = True
) -> tuple[dict[str, str], set[str], set[str]]:
    """({what stops: why}, what goes on, what is started) when all of OLD is up but DOWN, and what needs that."""
    up = set(range(len(old.database))) - graph.closure(old.dependents, old.union(down.split()))
    found = convert(old, new, up, instructions(text.encode()), force=force)
    before, after = old.database.names, new.database.names
    check(old, new, up, found)
    return (
        {before[number]: why for number, why in zip(found.stop, found.reasons, strict=True)},
        {after[number] for number, _ in found.kept if number > 1},
        {after[number] for number in found.start},
    )


def check(old: Index, new: Index, up: set[int], found: Conversion) -> None:
    """Neither side of the switch has a broken dependency."""
    left = up - set(found.stop)
    assert all(set(old.database.depends[number]) <= left for number in left)
    kept = {number for number, _ in found.kept}
    spared = {number for number, before in found.kept if before in found.spared}
    assert all(set(new.database.depends[number]) <= kept for number in kept - spared)
    assert {before for _, before in found.kept} <= left
    longruns = new.database.longruns, old.database.longruns
    assert all((number < longruns[0]) == (before < longruns[1]) for number, before in found.kept)


def test_nothing_stops_when_nothing_changes() -> None:
    # SM-192 (partly)
    index = made("o a", "l b a", "b all a b")
    assert change(index, made("o a", "l b a", "b all a b")) == ({}, {"a", "b"}, set())


def test_what_is_gone_stops_and_what_needed_it_is_restarted() -> None:
    # SM-191 (partly)
    stops, kept, starts = change(made("o a", "l b a", "l c"), made("l b", "l c"))
    assert stops == {"a": "it is not there any more", "b": "it needs a, which stops"}
    assert (kept, starts) == ({"c"}, {"b"})


def test_a_service_of_another_kind_is_another_service() -> None:
    # SM-191 (partly)
    assert change(made("o a", "l b"), made("l a", "l b"))[0] == {"a": "it was a oneshot and is a longrun"}
    stops, _, starts = change(made("o a", "l b"), made("o x", "o y", "b a x y", "l b"))
    assert stops == {"a": "it was a oneshot and is a bundle"}
    assert starts == {"x", "y"}


def test_what_needs_something_new_or_formerly_down_is_restarted() -> None:
    # SM-191 (partly)
    stops, kept, starts = change(made("l a", "l b", "l c b"), made("o new", "l a new", "l b", "l c b"))
    assert stops == {"a": "it needs new now, which is new"}
    assert (kept, starts) == ({"b", "c"}, {"a"})
    stops, _, starts = change(made("l a", "l b"), made("l a b", "l b"), down="b")
    assert set(stops) == {"a"}
    assert starts == {"a"}


def test_an_old_name_may_have_a_new_one_and_goes_on() -> None:
    # SM-191 (partly)
    assert change(made("l a", "l b a"), made("l x", "l b x"), "a -> x\n") == ({}, {"x", "b"}, set())
    stops, kept, starts = change(made("l a", "l b a"), made("l x", "l b x"), "a -> x restart # why\n")
    assert stops == {"a": "the conversion file says so", "b": "it needs a, which stops"}
    assert (kept, starts) == (set(), {"x", "b"})


def test_an_essential_service_goes_on_unless_forced() -> None:
    old, new = made("o a", "le ess a"), made("o new", "o a new", "le ess a")
    assert set(change(old, new)[0]) == {"a", "ess"}
    stops, kept, starts = change(old, new, force=False)
    assert (stops, kept, starts) == ({}, {"a", "ess"}, {"new"})
    for other in ("l other", "o ess", "b ess"):
        with pytest.raises(Refused) as refused:
            change(made("le ess"), made(other), force=False)
        assert refused.value.code == 9


@pytest.mark.parametrize(
    ("text", "code"),
    [("nobody restart", 3), ("a -> nobody", 3), ("all restart", 5), ("a\na restart", 6), ("a -> b", 6), ("a again", 100), ("a -> ", 100), ('"a', 100)],
)  # fmt: skip
def test_a_wrong_conversion_file_is_refused_with_its_code(text: str, code: int) -> None:
    # SM-191 (partly)
    with pytest.raises(Refused) as refused:
        change(made("l a", "l b", "b all a"), made("l a", "l b", "b all a"), text)
    assert refused.value.code == code


def test_the_lines_of_a_conversion_file() -> None:
    text = b'# comment\n\na -> "b c"\nd restart\ne -> f restart'
    assert instructions(text) == [
        Instruction("a", "b c"),
        Instruction("d", "", True),
        Instruction("e", "f", True),
    ]


@given(st.integers(0, 1 << 32), st.booleans())
def test_no_update_breaks_a_dependency_before_or_after_the_switch(seed: int, force: bool) -> None:
    # SM-191 (partly)
    rng = random.Random(seed)

    def index() -> Index:
        names = [f"s{at}" for at in range(rng.randrange(1, 12))]
        rng.shuffle(names)
        lines = [
            " ".join([rng.choice(["o", "l", "l", "oe"]), name, *{names[rng.randrange(at)] for _ in range(rng.randrange(3)) if at}])
            for at, name in enumerate(names)
        ]  # fmt: skip
        return made(*lines)

    old, new = index(), index()
    try:
        change(old, new, down=" ".join(rng.sample(old.database.names[2:], 1)), force=force)
    except Refused as refused:
        assert not force
        assert refused.code == 9  # noqa: PT017
