"""The automaton of svwait and svlisten: no process, no file, no clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initfs.supervise.status import DOWN, FINISH, RUN, Status, encode
from initfs.supervise.waiting import DONE, FAILED, LOST, WAITING, Level, Wait, begin, level, step, verdict

UP, READY = Level(up=True, ready=False, finishing=False), Level(up=True, ready=True, finishing=False)
FINISHING, IDLE = Level(up=False, ready=False, finishing=True), Level(up=False, ready=False, finishing=False)


def run(wait: Wait, letters: bytes) -> Wait:
    for letter in letters:
        wait = step(wait, letter)
    return wait


@pytest.mark.parametrize(
    ("wanted", "already"),
    [("u", [UP, READY]), ("U", [READY]), ("d", [FINISHING, IDLE]), ("D", [IDLE]), ("r", []), ("R", [])],
)
def test_what_is_there_already_is_not_waited_for_except_a_restart(wanted: str, already: list[Level]) -> None:
    # SUP-064
    for now in (UP, READY, FINISHING, IDLE):
        assert (begin(wanted, now).outcome == DONE) == (now in already)


@pytest.mark.parametrize(
    ("wanted", "now", "letters", "outcome"),
    [
        ("u", IDLE, b"u", DONE),
        ("u", IDLE, b"U", DONE),
        ("U", IDLE, b"u", WAITING),
        ("U", IDLE, b"uU", DONE),
        ("d", UP, b"d", DONE),
        ("D", UP, b"d", WAITING),
        ("D", FINISHING, b"D", DONE),
        ("d", UP, b"D", DONE),
        ("r", UP, b"u", WAITING),
        ("r", UP, b"dDu", DONE),
        ("r", UP, b"dD", WAITING),
        ("r", IDLE, b"u", DONE),
        ("R", READY, b"UdDu", WAITING),
        ("R", READY, b"dDuU", DONE),
        ("R", FINISHING, b"DuU", DONE),
    ],
)
def test_letters_bring_it_about(wanted: str, now: Level, letters: bytes, outcome: str) -> None:
    # SUP-064
    assert run(begin(wanted, now), letters).outcome == outcome


def test_svlisten_takes_a_restart_for_begun_only_when_all_is_down() -> None:
    assert run(begin("r", UP, "D"), b"du").outcome == WAITING
    assert run(begin("r", UP, "D"), b"dDu").outcome == DONE


@pytest.mark.parametrize(("wanted", "now"), [("u", IDLE), ("U", UP), ("r", UP), ("R", READY), ("r", IDLE)])
@pytest.mark.parametrize("down", ["d", "D"])
def test_a_permanent_failure_ends_every_wait_for_up(wanted: str, now: Level, down: str) -> None:
    # SUP-067
    assert run(begin(wanted, now, down), b"dOD").outcome == FAILED


def test_a_permanent_failure_is_no_failure_for_who_waits_for_down() -> None:
    assert run(begin("D", UP), b"dOD").outcome == DONE


@pytest.mark.parametrize("wanted", "uUdDrR")
def test_a_supervisor_that_leaves_ends_what_is_not_done(wanted: str) -> None:
    # SUP-068
    now = UP if wanted in "dDrR" else IDLE
    assert run(begin(wanted, now), b"x").outcome == LOST


@given(st.sampled_from("uUdDrR"), st.sampled_from([UP, READY, FINISHING, IDLE]), st.binary(max_size=12))
def test_every_letter_is_allowed_and_an_outcome_is_final(wanted: str, now: Level, letters: bytes) -> None:
    wait = begin(wanted, now)
    for letter in letters:
        after = step(wait, letter)
        assert len(after.pending) <= len(wait.pending)
        assert after == wait or wait.outcome == WAITING
        wait = after


def test_the_verdict_over_every_three_services() -> None:
    # SUP-064 SUP-067 SUP-068
    for outcomes in itertools.product((WAITING, DONE, FAILED, LOST), repeat=3):
        waits = [Wait((), outcome) for outcome in outcomes]
        every, some = verdict(waits, some=False), verdict(waits, some=True)
        assert (every == 0) == (outcomes.count(DONE) == 3)
        assert (some == 0) == (DONE in outcomes)
        if LOST in outcomes:
            assert every == 102
        elif WAITING not in outcomes:
            assert every == outcomes.count(FAILED)
        else:
            assert every is None
        if WAITING in outcomes and DONE not in outcomes:
            assert some is None


def test_a_crowd_of_failures_is_not_taken_for_a_timeout() -> None:
    assert verdict([Wait((), FAILED)] * 300, some=False) == 98


def status(state: int, pid: int, *, ready: bool = False) -> Status:
    return Status(
        state=state,
        pid=pid,
        wanted=True,
        ready=ready,
        paused=False,
        termed=False,
        ran=True,
        wait_status=0,
        changed=0,
    )


def test_the_level_is_read_from_the_status_file() -> None:
    assert level(encode(status(RUN, 7))) == UP
    assert level(encode(status(RUN, 7, ready=True))) == READY
    assert level(encode(status(FINISH, 8))) == FINISHING
    assert level(encode(status(DOWN, 0))) == IDLE


@given(st.binary(max_size=64))
def test_any_bytes_are_a_level_or_refused(data: bytes) -> None:
    try:
        assert isinstance(level(data), Level)
    except ValueError:
        assert len(data) < 35


def test_the_status_of_s6_since_2_13_is_understood_too() -> None:
    pid, group, stopped = (7).to_bytes(8, "big"), (7).to_bytes(8, "big"), b"\0\0"
    up, ready, finishing = (bytes(24) + pid + group + stopped + bytes([flags]) for flags in (4, 4 | 8, 2 | 4))
    assert [len(one) for one in (up, ready, finishing)] == [43, 43, 43]
    assert level(up) == UP
    assert level(ready) == READY
    assert level(finishing) == FINISHING
