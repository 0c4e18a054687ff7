"""The end of the machine as a pure plan: every rule leads towards the system call, and each stage has a deadline.

    asked -> waiting -> rc.shutdown -> services go down -> TERM to what is left -> KILL -> unmount, sync, reboot(2)

Only a wish that still waits for its time can be taken back. Each later stage ends when its work is done, or when its time is
over; nothing a service does, or fails to do, can hold it. "single" is the one wish that is no end: rc.shutdown runs, and the
machine stays (`spec/init.md` 7.6).
"""

from __future__ import annotations

from initfs import signals
from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

NEVER = float("inf")
GRACE, LONGEST_GRACE = 3.0, 300.0  # seconds between TERM and KILL: the default, and what a wish may ask for
MOMENT = 2.0  # seconds for a catch-all logger that is alone
SINGLE = "single"


class Stage:
    """How far the end has come."""

    RUNNING = "running"
    WAITING = "waiting"
    SCRIPT = "script"
    SERVICES = "services"
    TERM = "term"
    KILL = "kill"
    ENDED = "ended"


# Seconds that a stage may take. That of TERM is the grace.
LIMITS = {Stage.SCRIPT: 60.0, Stage.SERVICES: 10.0, Stage.KILL: 2.0}


@value
class Shutdown:
    """Where we are, and what it is for: halt, poweroff, reboot, or single."""

    stage: str = Stage.RUNNING
    mode: str = ""
    deadline: float = NEVER
    grace: float = GRACE


@value
class Asked:
    """Somebody wants an end in so many seconds; a later wish replaces one that waits, and changes the mode of an end under way."""

    mode: str
    after: float = 0.0
    grace: float = 0.0  # seconds; 0: the default


@value
class Cancelled:
    """Somebody takes back what waits."""


@value
class Finished:
    """The work of that stage is done: the script ended, the services are down, no process is left."""

    stage: str


@value
class Alone:
    """The services are down but for the catch-all logger, which strays keep from its end: it gets a moment."""


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
    Event: TypeAlias = Asked | Cancelled | Finished | Alone | Expired
    Effect: TypeAlias = RunScript | EndServices | SignalAll | Tell | Leave

EFFECTS: dict[str, list[Effect]] = {
    Stage.SCRIPT: [Tell("stopping"), RunScript()],
    Stage.SERVICES: [EndServices()],
    Stage.TERM: [Tell("stage3"), SignalAll(signals.TERM), SignalAll(signals.CONT)],
    Stage.KILL: [SignalAll(signals.KILL)],
}
NEXT = {
    Stage.RUNNING: Stage.SCRIPT,
    Stage.WAITING: Stage.SCRIPT,
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
        case ((Stage.RUNNING | Stage.WAITING), Asked()):
            return _wish(event, now)
        case Stage.RUNNING, _:
            return s, []
        case Stage.WAITING, _:
            return _waiting(s, event, now)
        case _, Cancelled() | Asked("single"):
            return s, []  # what has begun is not taken back
        case _, Asked(mode):
            return replace(s, mode=mode), []
        case stage, Finished(late) if late != stage:
            return s, []  # a script that took too long has ended now
        case stage, Alone():
            moment = now + MOMENT if stage == Stage.SERVICES else NEVER
            return replace(s, deadline=min(s.deadline, moment)), []
        case _:
            return _enter(s, now)


def _waiting(s: Shutdown, event: Event, now: float) -> tuple[Shutdown, list[Effect]]:
    match event:
        case Cancelled():
            return Shutdown(), [Tell("cancelled")]
        case Expired():
            return _enter(s, now)
        case _:
            return s, []


def _wish(wish: Asked, now: float) -> tuple[Shutdown, list[Effect]]:
    s = Shutdown(mode=wish.mode, grace=min(wish.grace, LONGEST_GRACE) or GRACE)
    if wish.after > 0:
        return replace(s, stage=Stage.WAITING, deadline=now + wish.after), [Tell("waiting")]
    return _enter(s, now)


def _enter(s: Shutdown, now: float) -> tuple[Shutdown, list[Effect]]:
    stage = NEXT[s.stage]
    if stage == Stage.SERVICES and s.mode == SINGLE:
        return Shutdown(), [Tell("single")]
    limit = s.grace if stage == Stage.TERM else LIMITS.get(stage, NEVER)
    s = replace(s, stage=stage, deadline=now + limit)
    return s, [Tell("ending"), Leave(s.mode)] if stage == Stage.ENDED else EFFECTS[stage]
