"""The end of the machine: every path through its states leads to the system call, whatever happens in which order."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.pid1.shutdown import (
    GRACE,
    LIMITS,
    LONGEST_GRACE,
    NEVER,
    Alone,
    Asked,
    Cancelled,
    Expired,
    Finished,
    Leave,
    Shutdown,
    Stage,
    step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.shutdown import Effect, Event

GOLDEN = Path(__file__).parents[1] / "golden/shutdown.txt"
MODES = ("halt", "poweroff", "reboot")
WORKS = (Stage.SCRIPT, Stage.SERVICES, Stage.TERM, Stage.KILL)
QUIET = (Stage.RUNNING, Stage.WAITING, Stage.ENDED)
EVENTS: list[Event] = [
    *(Asked(mode) for mode in (*MODES, "single")),
    Asked("reboot", 60.0),
    Asked("single", 60.0),
    Cancelled(),
    Alone(),
    *(Finished(stage) for stage in WORKS),
    Expired(),
]


def walk() -> dict[Shutdown, list[tuple[Event, Shutdown, list[Effect]]]]:
    """Every reachable state with what each event leads to."""
    graph: dict[Shutdown, list[tuple[Event, Shutdown, list[Effect]]]] = {}
    pending = deque([Shutdown()])
    while pending:
        state = pending.popleft()
        if state in graph:
            continue
        graph[state] = []
        for event in EVENTS:
            after, effects = step(state, event, 100.0)
            graph[state].append((event, after, effects))
            pending.append(after)
    return graph


def test_every_end_that_began_reaches_the_system_call_by_time_alone() -> None:
    # INI-210 (partly)
    for state in walk():
        if state.stage == Stage.RUNNING:
            continue
        for _ in range(len(LIMITS) + 3):
            if state.stage not in (Stage.RUNNING, Stage.ENDED):
                assert state.deadline < NEVER, "each stage has a limit"
                state, _ = step(state, Expired(), state.deadline)  # noqa: PLW2901
        assert state.stage == (Stage.RUNNING if state.mode in ("", "single") else Stage.ENDED)


def test_no_event_leads_back_and_every_wait_has_an_end() -> None:
    # INI-210 (partly)
    order = [Stage.RUNNING, Stage.WAITING, Stage.SCRIPT, Stage.SERVICES, Stage.TERM, Stage.KILL, Stage.ENDED]
    for state, outcomes in walk().items():
        for event, after, _ in outcomes:
            if after.stage == Stage.RUNNING:
                may = state.mode == "single" or state.stage in (Stage.RUNNING, Stage.WAITING)
                assert may, "only what waits is taken back"
                continue
            assert order.index(after.stage) - order.index(state.stage) in (0, 1, 2)
            if isinstance(event, Finished) and event.stage != state.stage:
                assert after == state, "what comes late is no news"
            elif isinstance(event, Finished | Expired) and state.stage not in QUIET:
                assert after.stage != state.stage, "neither success nor a time-out is without consequence"
            assert after.deadline < NEVER or after.stage == Stage.ENDED


def test_nothing_happens_before_somebody_asks_and_nothing_after_the_end() -> None:
    for nothing in (Finished(Stage.RUNNING), Expired(), Alone(), Cancelled()):
        assert step(Shutdown(), nothing, 1.0) == (Shutdown(), [])
    ended = Shutdown(stage=Stage.ENDED, mode="halt")
    for event in EVENTS:
        assert step(ended, event, 1.0) == (ended, [])


@given(some.lists(some.sampled_from(EVENTS), max_size=20))
def test_the_last_wish_before_the_end_decides_and_the_system_call_is_made_once(events: list[Event]) -> None:
    state, left = Shutdown(), []
    for event in events:
        wish = state.mode
        state, effects = step(state, event, 5.0)
        left += [effect for effect in effects if isinstance(effect, Leave)]
        if isinstance(event, Asked) and state.stage != Stage.ENDED and event.mode != "single":
            assert state.mode == event.mode
        elif state.stage not in (Stage.RUNNING, Stage.ENDED) and not isinstance(event, Asked):
            assert state.mode == wish
    assert left == ([Leave(state.mode)] if state.stage == Stage.ENDED else [])


@pytest.mark.parametrize(("asked", "given"), [(0.0, GRACE), (7.5, 7.5), (400.0, LONGEST_GRACE)])
def test_the_grace_between_term_and_kill_is_what_was_asked_for_with_a_cap(asked: float, given: float) -> None:
    # INI-211 (partly)
    state, _ = step(Shutdown(), Asked("halt", grace=asked), 0.0)
    while state.stage != Stage.TERM:
        state, _ = step(state, Expired(), 0.0)
    assert state.deadline == given


def transcript(mode: str, how: str, events: list[tuple[float, Event]]) -> str:
    """What an end does when, line by line."""
    lines = [f"{mode}, {how}"]
    state = Shutdown()
    for now, event in events:
        state, effects = step(state, event, now)
        lines.append(f"{now:7.1f}  {event}")
        lines += [f"{'':9}{effect}" for effect in effects]
        until = "" if state.deadline == NEVER else f" until {state.deadline:g}"
        lines.append(f"{'':9}-> {state.stage}{until}")
    return "\n".join(lines) + "\n"


def plan() -> str:
    """The ends that a reviewer wants to read."""
    done: list[tuple[float, Event]] = [(float(at), Finished(stage)) for at, stage in enumerate(WORKS, 1)]
    stuck: list[tuple[float, Event]] = [(at, Expired()) for at in (60.0, 70.0, 73.0, 75.0)]
    return "\n".join(
        [
            transcript("poweroff", "all goes well", [(0.0, Asked("poweroff")), *done]),
            transcript("reboot", "nothing ends by itself", [(0.0, Asked("reboot")), *stuck]),
            transcript(
                "halt",
                "in a minute, taken back, and again",
                [
                    (0.0, Asked("halt", 60.0)),
                    (5.0, Cancelled()),
                    (9.0, Asked("halt", 1.0, 8.0)),
                    (10.0, Expired()),
                ],
            ),
            transcript(
                "poweroff",
                "strays hold the catch-all's FIFO",
                [(0.0, Asked("poweroff")), done[0], (2.0, Alone()), (4.0, Expired()), (7.0, Expired())],
            ),
            transcript("single", "rc.shutdown, and the machine stays", [(0.0, Asked("single")), done[0]]),
        ]
    )


def test_the_plan_of_the_end_is_what_was_reviewed() -> None:
    # INI-208 (partly) INI-210 (partly)
    assert GOLDEN.read_text() == plan(), "if this is meant: python -m tests.pure.test_supervise_shutdown"


if __name__ == "__main__":
    GOLDEN.write_text(plan())
