"""The end of the machine: every path through its states leads to the system call, whatever happens in which order."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs import signals
from initfs.pid1.shutdown import (
    LIMITS,
    NEVER,
    Asked,
    EndServices,
    Expired,
    Finished,
    Leave,
    RunScript,
    Shutdown,
    SignalAll,
    Stage,
    Tell,
    step,
)
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.shutdown import Effect, Event

MODES = ("halt", "poweroff", "reboot")
EVENTS: list[Event] = [
    *(Asked(mode) for mode in MODES),
    *(Finished(stage) for stage in (Stage.SCRIPT, Stage.SERVICES, Stage.TERM, Stage.KILL)),
    Expired(),
]


def walk() -> dict[Shutdown, list[tuple[Event, Shutdown, list[Effect]]]]:
    """Every reachable state with what each event leads to; an instant is only whether there is one."""
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


def test_every_state_but_the_first_leads_to_the_end_by_time_alone() -> None:
    # INI-210 (partly)
    for state in walk():
        if state.stage == Stage.RUNNING:
            continue
        for _ in range(len(LIMITS)):
            if state.stage != Stage.ENDED:
                assert state.deadline < NEVER, "each stage has a limit"
                state, _ = step(state, Expired(), state.deadline)  # noqa: PLW2901
        assert state.stage == Stage.ENDED


def test_no_event_leads_back_and_every_wait_has_an_end() -> None:
    # INI-210 (partly)
    order = [Stage.RUNNING, Stage.SCRIPT, Stage.SERVICES, Stage.TERM, Stage.KILL, Stage.ENDED]
    for state, outcomes in walk().items():
        for event, after, _ in outcomes:
            assert order.index(after.stage) - order.index(state.stage) in (0, 1)
            if isinstance(event, Finished) and event.stage != state.stage:
                assert after == state, "what comes late is no news"
            elif isinstance(event, Finished | Expired) and state.stage not in (Stage.RUNNING, Stage.ENDED):
                assert after.stage != state.stage, "neither success nor a time-out is without consequence"
            if after.stage not in (Stage.RUNNING, Stage.ENDED):
                assert after.deadline < NEVER


def test_nothing_happens_before_somebody_asks_and_nothing_after_the_end() -> None:
    for nothing in (Finished(Stage.RUNNING), Expired()):
        assert step(Shutdown(), nothing, 1.0) == (Shutdown(), [])
    ended = Shutdown(stage=Stage.ENDED, mode="halt")
    for event in EVENTS:
        assert step(ended, event, 1.0) == (ended, [])


@pytest.mark.parametrize("mode", MODES)
def test_the_stages_in_order(mode: str) -> None:
    # INI-210 (partly)
    state, effects = step(Shutdown(), Asked(mode), 10.0)
    seen = list(effects)
    while state.stage != Stage.ENDED:
        state, effects = step(state, Finished(state.stage), 10.0)
        seen += effects
    assert seen == [
        Tell("stopping"),
        RunScript(),
        EndServices(),
        Tell("stage3"),
        SignalAll(signals.TERM),
        SignalAll(signals.CONT),
        SignalAll(signals.KILL),
        Tell("ending"),
        Leave(mode),
    ]


@given(some.lists(some.sampled_from(EVENTS), max_size=20))
def test_the_last_wish_before_the_end_decides_and_the_system_call_is_made_once(events: list[Event]) -> None:
    state, left, wish = Shutdown(), [], ""
    for event in events:
        if isinstance(event, Asked) and state.stage != Stage.ENDED:
            wish = event.mode
        state, effects = step(state, event, 5.0)
        left += [effect for effect in effects if isinstance(effect, Leave)]
        assert replace(state, deadline=0.0).mode == wish
    assert left == ([Leave(wish)] if state.stage == Stage.ENDED else [])
