"""The values of a service's life: what is remembered, what can happen, what can be done about it.

The rules that lead from one to the next are in `automaton.py`.
"""

from __future__ import annotations

from initfs import signals
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

NEVER = float("inf")


class Phase:
    """What there is: nothing, `run`, `finish`, or no more supervision."""

    DOWN = "down"
    UP = "up"
    FINISH = "finish"
    GONE = "gone"


@value
class Policy:
    """What the service directory says at the moment of an event. Times are seconds."""

    finish: bool = False  # there is a ./finish
    notifies: bool = False  # it announces readiness
    down_signal: int = signals.TERM
    reload_signal: int = signals.HUP
    timeout_kill: float = NEVER  # from the down signal to SIGKILL
    kill_group: bool = False  # that SIGKILL goes to the process group
    timeout_finish: float = 5.0  # from the start of ./finish to SIGKILL
    restart_delay_max: float = 0.0  # cap of the doubling pause; 0: the pause does not double


@value
class Service:
    """All that is remembered of a service between two events. Instants are CLOCK_MONOTONIC seconds."""

    phase: str = Phase.DOWN
    wanted: bool = True  # start it again when it is down
    leaving: bool = False  # told to exit: supervision ends once it is down
    vanished: bool = False  # its entry in the scan directory is gone: the same, unless the entry returns
    ready: bool = False
    paused: bool = False
    termed: bool = False  # it was sent TERM in this life
    pid: int = 0  # of run in UP, of finish in FINISH
    status: int = 0  # wait status of the last run
    ran: bool = False  # it was started at least once
    group: int = 0  # pid of the last run: its process group
    started: float = 0.0  # when this life began
    readied: float = NEVER  # when it announced readiness in this life
    pause: float = 0.0  # to keep before the next start; what doubles
    deadline: float = NEVER  # when Expired is due
    failure: str = ""  # why the last start failed, so that it is said once


# What happened ------------------------------------------------------------------------------------


@value
class Spawned:
    """The Run or Finish asked for is now process `pid`."""

    pid: int


@value
class NotSpawned:
    """It could not be started, in words; try again in `retry` seconds (NEVER: somebody has to mend it first)."""

    reason: str
    retry: float


@value
class Readied:
    """`run` wrote its newline."""


@value
class Died:
    """The process we hold ended with this wait status."""

    status: int


@value
class Expired:
    """The deadline has come."""


@value
class Vanished:
    """Its entry is no longer in the scan directory."""


@value
class Returned:
    """Its entry is there again."""


@value
class Adopted:
    """A `run` that a former supervisor started (monotonic seconds) still lives, `ready` as that one knew; or its `finish` does."""

    pid: int
    ready: bool
    started: float
    finishing: bool = False


@value
class Asked:
    """A command letter arrived; `quiet` when a script has already done what its signal would do."""

    letter: str
    quiet: bool = False


# What to do ---------------------------------------------------------------------------------------


@value
class Run:
    """Start ./run; answer with Spawned or NotSpawned."""


@value
class Finish:
    """Start ./finish for the run `pid` that ended with `status`, quietly on /dev/null; answer as for Run."""

    status: int
    pid: int
    quiet: bool


@value
class Kill:
    """Signal a process, or a group with a negative number."""

    pid: int
    signum: int


@value
class Tally:
    """Record a death."""

    status: int


@value
class MarkDown:
    """Create or remove the file ./down."""

    down: bool


@value
class Publish:
    """Write the status file, send these letters to the listeners, and tell the event line."""

    event: str
    letters: str
    reason: str = ""


if TYPE_CHECKING:
    Event: TypeAlias = Spawned | NotSpawned | Readied | Died | Expired | Vanished | Returned | Adopted | Asked
    Effect: TypeAlias = Run | Finish | Kill | Tally | MarkDown | Publish
    Step: TypeAlias = tuple[Service, list[Effect]]
