"""The end of the machine as a pure plan: every rule leads towards the system call, and each stage has a deadline.

    asked -> rc.shutdown -> services go down -> TERM to what is left -> KILL -> unmount, sync, reboot(2)

Each stage ends when its work is done, or when its time is over; nothing a service does, or fails to do, can hold it.
"""

from __future__ import annotations

from initfs import signals
from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

NEVER = float("inf")


class Stage:
    """How far the end has come."""

    RUNNING = "running"
    SCRIPT = "script"
    SERVICES = "services"
    TERM = "term"
    KILL = "kill"
    ENDED = "ended"


# Seconds that a stage may take.
LIMITS = {Stage.SCRIPT: 60.0, Stage.SERVICES: 10.0, Stage.TERM: 3.0, Stage.KILL: 2.0}


@value
class Shutdown:
    """Where we are, and what it is for: halt, poweroff or reboot."""

    stage: str = Stage.RUNNING
    mode: str = ""
    deadline: float = NEVER


@value
class Asked:
    """Somebody wants an end; a later wish changes the mode of an end under way."""

    mode: str


@value
class Finished:
    """The work of that stage is done: the script ended, the services are down, no process is left."""

    stage: str


@value
class Expired:
    """The stage's time is over."""


@value
class RunScript:
    """Run rc.shutdown; Finished when it has ended or there is none."""


@value
class EndServices:
    """Bring the services down; Finished when all are."""


@value
class SignalAll:
    """Signal every process but ourselves; Finished when none is left."""

    signum: int


@value
class Tell:
    """A milestone."""

    event: str


@value
class Leave:
    """Unmount, sync, and make the system call."""

    mode: str


if TYPE_CHECKING:
    Event: TypeAlias = Asked | Finished | Expired
    Effect: TypeAlias = RunScript | EndServices | SignalAll | Tell | Leave

EFFECTS: dict[str, list[Effect]] = {
    Stage.SCRIPT: [Tell("stopping"), RunScript()],
    Stage.SERVICES: [EndServices()],
    Stage.TERM: [Tell("stage3"), SignalAll(signals.TERM), SignalAll(signals.CONT)],
    Stage.KILL: [SignalAll(signals.KILL)],
}
NEXT = {
    Stage.RUNNING: Stage.SCRIPT,
    Stage.SCRIPT: Stage.SERVICES,
    Stage.SERVICES: Stage.TERM,
    Stage.TERM: Stage.KILL,
    Stage.KILL: Stage.ENDED,
}


def step(s: Shutdown, event: Event, now: float) -> tuple[Shutdown, list[Effect]]:
    """The next value after an event at NOW, and what to do, in order."""
    match s.stage, event:
        case Stage.ENDED, _:
            return s, []
        case Stage.RUNNING, Asked(mode):
            return _enter(replace(s, mode=mode), now)
        case Stage.RUNNING, _:
            return s, []
        case _, Asked(mode):
            return replace(s, mode=mode), []
        case stage, Finished(late) if late != stage:
            return s, []  # a script that took too long has ended now
        case _:
            return _enter(s, now)


def _enter(s: Shutdown, now: float) -> tuple[Shutdown, list[Effect]]:
    stage = NEXT[s.stage]
    s = replace(s, stage=stage, deadline=now + LIMITS.get(stage, NEVER))
    return s, [Tell("ending"), Leave(s.mode)] if stage == Stage.ENDED else EFFECTS[stage]
