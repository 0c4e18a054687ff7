from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.manager.model import LONGRUN, Definition
from initfs.manager.query import Index
from initfs.manager.repo import sets
from initfs.manager.repo.sets import ACTIVE, ALWAYS, MASKED, USABLE
from initfs.manager.resolve import resolve


def made(**needs: str) -> Index:
    return Index(
        resolve(
            [Definition(name, LONGRUN, name, depends=tuple(text.split())) for name, text in needs.items()]
        )[0]
    )


def pipeline() -> Index:
    return Index(
        resolve(
            [Definition("log", LONGRUN, "", producers=("p",)), Definition("p", LONGRUN, "", consumer="log")]
        )[0]
    )


def levels(index: Index, **given: int) -> dict[int, int]:
    return {number: given.get(index.database.names[number], USABLE) for number in sets.services(index)}


def named(index: Index, found: dict[int, int]) -> dict[str, int]:
    return {index.database.names[number]: level for number, level in found.items()}


def test_a_new_set_follows_the_flags() -> None:
    # SM-196 (partly)
    assert [sets.default(flags) for flags in range(4)] == [USABLE, ALWAYS, ACTIVE, ALWAYS]


def test_levels_have_several_names() -> None:
    words = ("masked", "mask", "latent", "disabled", "unmask", "enabled", "enable", "onboot", "essential")
    assert [sets.LEVELS[word] for word in words] == [0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_a_service_above_what_it_needs_is_a_conflict() -> None:
    index = made(a="", b="a")
    conflicts = sets.conflicts(index, levels(index, b=ACTIVE))
    assert [(index.database.names[one], index.database.names[other]) for one, other in conflicts] == [
        ("b", "a")
    ]
    assert not sets.conflicts(index, levels(index, a=ALWAYS, b=ACTIVE))


def test_pulling_raises_what_is_needed_and_lowers_what_needs() -> None:
    index = made(a="", b="a", c="b")
    up = sets.moved(index, levels(index), {index.number["c"]}, ACTIVE, pull=True)
    assert named(index, up) == {"a": ACTIVE, "b": ACTIVE, "c": ACTIVE}
    down = sets.moved(index, up, {index.number["a"]}, MASKED, pull=True)
    assert named(index, down) == {"a": MASKED, "b": MASKED, "c": MASKED}
    alone = sets.moved(index, up, {index.number["a"]}, USABLE, pull=False)
    assert named(index, alone) == {"a": USABLE, "b": ACTIVE, "c": ACTIVE}


def test_a_pipeline_is_masked_as_a_whole() -> None:
    index = pipeline()
    for name in ("p", "log"):
        assert set(sets.moved(index, levels(index), {index.number[name]}, MASKED, pull=False).values()) == {
            MASKED
        }


@given(st.integers(0, 1 << 32), st.booleans())
def test_what_is_fixed_fits_together(seed: int, up: bool) -> None:
    # SM-196 (partly)
    rng = random.Random(seed)
    size = rng.randrange(1, 12)
    index = made(
        **{f"s{at}": " ".join({f"s{rng.randrange(at)}" for _ in range(2) if at}) for at in range(size)}
    )
    before = {number: rng.randrange(4) for number in sets.services(index)}
    after = sets.fixed(index, before, up=up)
    assert not sets.conflicts(index, after)
    assert all(
        after[number] >= before[number] if up else after[number] <= before[number] for number in before
    )
    assert sets.fixed(index, after, up=up) == after


@pytest.mark.parametrize("up", [False, True])
def test_a_half_masked_pipeline_is_a_conflict_and_can_be_fixed(up: bool) -> None:
    index = pipeline()
    for name in ("p", "log"):
        before = levels(index, **{name: MASKED})
        assert sets.conflicts(index, before)
        fixed = sets.fixed(index, before, up=up)
        assert not sets.conflicts(index, fixed)


@given(st.integers(0, 1 << 32))
def test_a_set_survives_its_file(seed: int) -> None:
    rng = random.Random(seed)
    index = made(**{f"s{at}": "" for at in range(rng.randrange(1, 9))})
    found = {number: rng.randrange(4) for number in sets.services(index)}
    assert sets.numbered(index, sets.decode(sets.encode(index, found))) == found


def test_a_damaged_set_and_one_of_other_services_are_invalid() -> None:
    index = made(a="")
    with pytest.raises(sets.Invalid):
        sets.decode("asleep a\n")
    with pytest.raises(sets.Invalid, match="repo-sync"):
        sets.numbered(index, {"b": USABLE})
    assert named(index, sets.synced(index, {"b": ACTIVE})) == {"a": USABLE}
    assert sets.forced({1: ALWAYS, 2: USABLE}, {1: USABLE, 2: ACTIVE}) == [1]
