"""Waiting for services, as a pure automaton: what one service still owes, and what many of them amount to.

Theory. A wait is a short list of states to be seen in order: `u` is ("u",), a restart `r` of a service that is up is
("d", "u"). Each letter of the service's fifodir may strike the first one out. Letters are taken one by one: a restart
whose `dD` and `u` arrive in one read is seen. The list is made from the status file, which is read after subscribing;
a supervisor writes that file before it sends the letter, so nothing falls between the two.

Sources: `spec/supervision.md` 1.7, `spec/notification.md` 4.2 and 4.7.
"""

from __future__ import annotations

from initfs import say
from initfs.supervise.status import FINISHING, READY, SIZE, flags_at
from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WAITING, DONE, FAILED, LOST = "waiting", "done", "failed", "lost"
MOST_FAILURES = 98  # an exit code of 99 and more means something else

# Which letters show the state that is waited for: ready implies up, entirely down implies down.
SHOWN_BY = {"u": b"uU", "U": b"U", "d": b"dD", "D": b"D"}


@value
class Level:
    """What the status file says of a service, as far as a wait is concerned."""

    up: bool
    ready: bool
    finishing: bool

    def shows(self, state: str) -> bool:
        """Is the service in the state u, U, d or D now?"""
        if state in "uU":
            return self.up and (self.ready or state == "u")
        return not self.up and not (self.finishing and state == "D")


@value
class Wait:
    """One service: the states that are still to be seen, in order, and what has become of the wait."""

    pending: tuple[str, ...]
    outcome: str = WAITING


def level(status: bytes) -> Level:
    """The Level in a status file; ValueError for one without the part that s6 reads and all who send events write.

    Only the pid and the flags are looked at: our file has them where every version of s6-supervise has its own.
    """
    if len(status) < SIZE:
        raise ValueError(f"{len(status)} bytes instead of {SIZE}")
    running = any(status[24:32])
    flags = status[flags_at(status)]
    finishing = bool(flags & FINISHING)
    up = running and not finishing
    return Level(up, up and bool(flags & READY), finishing)


def begin(wanted: str, now: Level, down: str = "d") -> Wait:
    """The wait for WANTED, one of u U d D r R, of a service that is at the level NOW; DOWN is r's first state, d or D."""
    up = {"r": "u", "R": "U"}.get(wanted)
    if up is not None:
        return Wait((down, up) if now.up else (up,))
    return Wait((), DONE) if now.shows(wanted) else Wait((wanted,))


def step(wait: Wait, letter: int) -> Wait:
    """The wait after one LETTER of the service. A wait that is over stays as it is, what is not news changes nothing."""
    if wait.outcome != WAITING:
        return wait
    if letter == ord("x"):
        return replace(wait, outcome=LOST)
    if letter == ord("O") and wait.pending[-1] in "uU":
        return replace(wait, outcome=FAILED)  # it will not come up again by itself
    if letter not in SHOWN_BY[wait.pending[0]]:
        return wait
    pending = wait.pending[1:]
    return Wait(pending, WAITING if pending else DONE)


def verdict(waits: Sequence[Wait], some: bool) -> int | None:
    """The exit code of all waits together, None while there is none yet. SOME: one is enough.

    0 when enough are done; 102 when a supervisor went that was needed; else the number of services that failed.
    """
    outcomes = [wait.outcome for wait in waits]
    if DONE in outcomes if some else all(outcome == DONE for outcome in outcomes):
        return say.OK
    if WAITING in outcomes and (some or LOST not in outcomes):
        return None
    if LOST in outcomes:
        return say.NOT_SUPERVISED
    return min(outcomes.count(FAILED), MOST_FAILURES)
