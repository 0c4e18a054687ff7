"""Service and world walked together through every state that they can reach.

The world knows which child is alive and owes an answer to each spawn, so that a death without a child, or a second child,
cannot be made up. What must hold is checked at every transition; that GONE can be reached, from every state.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

import pytest

from initfs.supervise.automaton import step
from initfs.supervise.control import LETTERS
from initfs.supervise.model import (
    NEVER,
    Adopted,
    Asked,
    Died,
    Expired,
    Finish,
    Kill,
    NotSpawned,
    Phase,
    Policy,
    Publish,
    Readied,
    Returned,
    Run,
    Service,
    Spawned,
    Vanished,
)
from initfs.value import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN_PID, FINISH_PID = 100, 200
POLICIES = {
    "plain": Policy(),
    "finish": Policy(finish=True),
    "everything": Policy(
        finish=True, notifies=True, timeout_kill=3.0, kill_group=True, restart_delay_max=8.0
    ),
}
# A state of the joint world: the service, and the pid that lives (0: none).
State = tuple[Service, int]


def normal(service: Service, now: float) -> Service:
    """The service with its instants replaced by what matters of them, so that the state space is finite."""
    return replace(
        service,
        deadline=NEVER if service.deadline == NEVER else now,
        started=0.0,
        readied=NEVER if service.readied == NEVER else 0.0,
        pause=min(service.pause, 2.0),
    )


def events(service: Service, alive: int) -> list[object]:
    """All that can happen now."""
    found: list[object] = [Asked(letter) for letter in LETTERS] + [Vanished(), Returned()]
    if service.deadline != NEVER:
        found.append(Expired())
    if alive:
        found += [Died(status) for status in (0, 9, 125 << 8, 1 << 8)]
    if alive == RUN_PID and service.phase == Phase.UP:
        found.append(Readied())
    return found


def settle(state: State, event: object, now: float, policy: Policy) -> list[State]:
    """Every outcome of an event: each spawn may succeed or fail."""
    service, alive = state
    outcomes: list[State] = []
    pending = deque([(service, 0 if isinstance(event, Died) else alive, [event])])
    while pending:
        service, alive, queue = pending.popleft()
        if not queue:
            outcomes.append((normal(service, now), alive))
            continue
        before = service
        service, effects = step(service, queue[0], now, policy)  # type: ignore[arg-type]
        check_effects(before, queue[0], effects, alive)
        spawns = [effect for effect in effects if isinstance(effect, Run | Finish)]
        assert len(spawns) <= 1, "never two children"
        if not spawns:
            pending.append((service, alive, queue[1:]))
            continue
        assert not alive, "never a second child"
        pid = RUN_PID if isinstance(spawns[0], Run) else FINISH_PID
        pending.append((service, pid, [*queue[1:], Spawned(pid)]))
        pending.append((service, 0, [*queue[1:], NotSpawned("no", 60.0)]))
    return outcomes


def check_effects(before: Service, event: object, effects: Sequence[object], alive: int) -> None:
    for effect in effects:
        if isinstance(effect, Kill):
            assert alive, f"{event} signals {effect} when nothing lives"
            assert abs(effect.pid) == alive, f"{event} in {before} signals a stranger"
            assert abs(effect.pid) > 1


def check_state(state: State) -> None:
    service, alive = state
    assert service.pid == alive, f"the pid held is not the child that lives: {service} {alive}"
    assert (service.phase in (Phase.UP, Phase.FINISH)) == bool(alive), service
    if service.phase == Phase.GONE:
        assert not alive, "gone, and a child is left"
        assert service.deadline == NEVER
    if service.phase == Phase.DOWN and service.wanted:
        assert service.deadline != NEVER, f"wanted, down, and never started: {service}"
    assert not (service.ready and service.phase != Phase.UP)


def explore(policy: Policy) -> dict[State, set[State]]:
    """Every reachable state with its successors."""
    now = 10.0
    graph: dict[State, set[State]] = {}
    first = (normal(Service(deadline=0.0), now), 0)
    pending = deque([first, (normal(Service(wanted=False), now), 0)])
    while pending:
        state = pending.popleft()
        if state in graph:
            continue
        graph[state] = set()
        for event in events(*state):
            for outcome in settle(state, event, now, policy):
                check_state(outcome)
                graph[state].add(outcome)
                pending.append(outcome)
    return graph


@pytest.mark.parametrize("name", POLICIES)
def test_in_every_reachable_state_the_pid_held_is_the_child_that_lives_and_no_stranger_is_signalled(
    name: str,
) -> None:
    graph = explore(POLICIES[name])
    assert len(graph) > 40
    assert {state[0].phase for state in graph} >= {Phase.DOWN, Phase.UP, Phase.GONE}


@pytest.mark.parametrize("name", POLICIES)
def test_from_every_state_gone_can_be_reached(name: str) -> None:
    graph = explore(POLICIES[name])
    backwards: dict[State, set[State]] = {}
    for state, successors in graph.items():
        for successor in successors:
            backwards.setdefault(successor, set()).add(state)
    reached, pending = set(), [state for state in graph if state[0].phase == Phase.GONE]
    while pending:
        state = pending.pop()
        if state not in reached:
            reached.add(state)
            pending += backwards.get(state, ())
    assert reached == set(graph)


@pytest.mark.parametrize("name", POLICIES)
def test_once_told_to_leave_the_next_settling_is_the_last(name: str) -> None:
    for state, successors in explore(POLICIES[name]).items():
        if state[0].leaving and state[0].phase != Phase.GONE:
            assert not [s for s in successors if s[0].phase == Phase.DOWN], state


def test_gone_stays_gone_whatever_happens() -> None:
    gone = Service(phase=Phase.GONE)
    happenings = [
        *events(gone, 0),
        Died(0),
        Readied(),
        Expired(),
        Spawned(5),
        Adopted(5, ready=True, started=0.5),
    ]
    assert all(step(gone, event, 1.0, Policy()) == (gone, []) for event in happenings)  # type: ignore[arg-type]


def life(*happenings: tuple[float, object], policy: Policy) -> tuple[Service, Sequence[object]]:
    """The service after these happenings at these times, and what was done about the last of them."""
    service, effects = Service(), cast("Sequence[object]", [])
    for now, event in happenings:
        service, effects = step(service, event, now, policy)  # type: ignore[arg-type]
    return service, effects


def test_a_service_that_was_up_for_a_second_is_restarted_at_once_and_another_after_a_second() -> None:
    # SUP-037
    short, _ = life((0.0, Spawned(7)), (0.5, Died(0)), policy=Policy())
    long, _ = life((0.0, Spawned(7)), (1.5, Died(0)), policy=Policy())
    assert (short.deadline, long.deadline) == (1.5, 1.5)


def test_what_counts_of_a_service_that_announces_readiness_is_the_time_it_was_ready() -> None:
    # SUP-037
    policy = Policy(notifies=True)
    never, _ = life((0.0, Spawned(7)), (50.0, Died(0)), policy=policy)
    lately, _ = life((0.0, Spawned(7)), (49.5, Readied()), (50.0, Died(0)), policy=policy)
    long, _ = life((0.0, Spawned(7)), (1.0, Readied()), (50.0, Died(0)), policy=policy)
    assert (never.deadline, lately.deadline, long.deadline) == (51.0, 51.0, 50.0)


def test_the_pause_doubles_up_to_its_cap_and_falls_back_after_a_minute_of_life() -> None:
    policy = Policy(restart_delay_max=5.0)
    service, now, pauses = Service(), 0.0, []
    for lived in (0.1, 0.1, 0.1, 0.1, 70.0, 0.1):
        service, _ = step(service, Spawned(7), now, policy)
        service, _ = step(service, Died(0), now + lived, policy)
        now = service.deadline
        pauses.append(service.pause)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 0.0, 1.0]


def test_a_failure_to_start_is_said_once_and_again_only_when_its_reason_changes() -> None:
    service, first = step(Service(), NotSpawned("no such file", 60.0), 0.0, Policy())
    service, second = step(service, NotSpawned("no such file", 60.0), 60.0, Policy())
    service, third = step(service, NotSpawned("not executable", 60.0), 120.0, Policy())
    assert [len(said) for said in (first, second, third)] == [1, 0, 1]
    assert service.deadline == 180.0


def test_finish_with_125_is_a_permanent_failure() -> None:
    # SUP-040
    policy = Policy(finish=True)
    service, effects = life(
        (0.0, Spawned(7)), (5.0, Died(0)), (5.0, Spawned(8)), (5.1, Died(125 << 8)), policy=policy
    )
    assert not service.wanted
    assert service.deadline == NEVER
    assert "".join(effect.letters for effect in effects if isinstance(effect, Publish)) == "OD"


def test_finish_has_its_time_from_its_own_start_on() -> None:
    # SUP-041 (partly)
    policy = Policy(finish=True, timeout_finish=5.0)
    dead, _ = step(Service(phase=Phase.UP, pid=9), Died(0), 100.0, policy)
    finishing, _ = step(dead, Spawned(10), 102.0, policy)
    assert (finishing.phase, finishing.pid, finishing.deadline) == (Phase.FINISH, 10, 107.0)


def test_an_explicit_start_is_not_throttled() -> None:
    # SUP-038
    service, _ = life((0.0, Spawned(7)), (0.1, Died(1)), policy=Policy())
    _, effects = step(service, Asked("u"), 0.2, Policy())
    assert Run() in effects


def test_down_sends_the_down_signal_then_cont_and_kills_after_the_timeout() -> None:
    # SUP-042 SUP-043
    policy = Policy(down_signal=2, timeout_kill=3.0, kill_group=True)
    service, effects = life((0.0, Spawned(7)), (1.0, Asked("d")), policy=policy)
    assert [effect for effect in effects if isinstance(effect, Kill)] == [Kill(7, 2), Kill(7, 18)]
    assert service.deadline == 4.0
    service, effects = step(service, Expired(), 4.0, policy)
    assert effects == [Kill(-7, 18), Kill(-7, 9)]
    assert service.deadline == 9.0
