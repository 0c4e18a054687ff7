"""When a cable counts as in or out: a state that flips back within its delay causes nothing, one that lasts is told once."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as some

from initfs.network.link import DOWN, ERROR, NEVER, UP, Policy, Watch, due, effective, seen

POLICY = Policy(up=1.0, down=5.0)


def run(*news: tuple[float, str]) -> list[tuple[float, str]]:
    """What the handler is told, and when, of news at these times."""
    watch, told, pending = Watch(), [], list(news)
    while pending or watch.deadline < NEVER:
        if pending and pending[0][0] < watch.deadline:
            now, state = pending.pop(0)
            watch = seen(watch, state, now, POLICY)
        else:
            now = watch.deadline
            watch, what = due(watch, now)
            if what:
                told.append((now, what))
    return told


def test_what_is_there_at_first_counts_at_once() -> None:
    # VAR-228 (partly)
    assert run((0, UP)) == [(0, UP)]
    assert run((0, DOWN)) == [(0, DOWN)]
    assert run((0, ERROR)) == [(0, DOWN)]


def test_a_state_counts_when_it_has_lasted() -> None:
    # VAR-228 (partly)
    assert run((0, UP), (10, DOWN), (30, UP)) == [(0, UP), (15, DOWN), (31, UP)]


def test_a_flip_within_the_delay_causes_nothing() -> None:
    # VAR-228 (partly)
    assert run((0, UP), (10, DOWN), (14, UP), (20, DOWN), (24.9, UP)) == [(0, UP)]
    assert run((0, DOWN), (10, UP), (10.9, DOWN)) == [(0, DOWN)]


def test_an_interface_that_is_gone_counts_at_once_also_when_its_cable_was_out_before() -> None:
    assert run((0, UP), (10, ERROR)) == [(0, UP), (10, DOWN)]
    assert run((0, UP), (10, DOWN), (11, ERROR)) == [(0, UP), (11, DOWN)]
    assert run((0, UP), (10, ERROR), (20, DOWN), (30, UP)) == [(0, UP), (10, DOWN), (31, UP)]


@given(some.lists(some.tuples(some.floats(0.01, 9), some.sampled_from([UP, DOWN, ERROR])), max_size=20))
def test_up_and_down_are_told_in_turn_and_the_last_is_what_is_so(steps: list[tuple[float, str]]) -> None:
    now, news = 0.0, []
    for pause, state in steps:
        now += pause
        news.append((now, state))
    told = [what for _, what in run(*news)]

    assert all(one != other for one, other in itertools.pairwise(told))
    if news:
        assert told[-1] == effective(news[-1][1])
