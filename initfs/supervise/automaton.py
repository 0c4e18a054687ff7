"""The life of one service: every rule of starting, stopping and restarting is in this file and nowhere else.

Theory. A service is *down*, *up* (its `run` lives), or in *finish* (its `finish` lives); when its supervision has ended it
is *gone*. What is wanted is kept apart from what is: a command changes `wanted` and may send a signal, only the world
(a child started, became ready, died; a deadline came) changes the phase.

            Spawned                 Died, and there is a finish
    DOWN ------------> UP ------------------------------------> FINISH
      ^                 |                                          |
      |                 | Died, and there is none                  | Died
      +-----------------+------------- settle ---------------------+----> GONE, when told to leave or its entry vanished

Settling decides when the next start is due. A service that had been up for a second (ready for a second, if it
announces readiness) is restarted at once, any other after a second, so a crash loop costs one start a second and a good
service that dies is missed for a millisecond. With `restart-delay-max` the pause doubles up to that cap for
as long as no life lasts a minute.

`step` is total: an event that means nothing in a phase changes nothing. It has no clock, no directory, no process: time
and policy are arguments, effects are values for the caller to obey in order. `Run` and `Finish` are answered with
`Spawned` or `NotSpawned` before the next event. `Expired` is never a timer: the caller feeds it when `deadline` has come.

Sources: `spec/supervision.md` 1.4; the letters are those of s6-supervise, runsv and supervise(8) together.
"""

from __future__ import annotations

from initfs import signals
from initfs.supervise.control import SIGNALS
from initfs.supervise.model import (
    NEVER,
    Adopted,
    Asked,
    Died,
    Expired,
    Finish,
    Kill,
    MarkDown,
    NotSpawned,
    Phase,
    Publish,
    Readied,
    Returned,
    Run,
    Service,
    Spawned,
    Tally,
    Vanished,
)
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.model import Effect, Event, Policy, Step

PAUSE = 1.0  # seconds between the end of a short life and the next start
GOOD = 1.0  # a life this long is not a failure
LONG = 60.0  # a life this long ends a doubling pause
KILL_AGAIN = 5.0  # seconds between two SIGKILLs to what should be dead
PERMANENT = 125 << 8  # the wait status of a finish that says: do not start it again
CHANGED = Publish("", "")  # only the status file changed
RUN, UP = Run(), Publish("up", "u")

MARKS = {"U": False, "D": True, "Q": True}


def step(s: Service, event: Event, now: float, policy: Policy) -> Step:
    """The next value of a service after an event at NOW, and what to do about it, in order."""
    match s.phase, event:
        case Phase.GONE, _:
            return s, []
        case _, Asked(letter, quiet):
            return asked(s, letter, now, policy, quiet=quiet)
        case Phase.DOWN, Expired():
            return replace(s, deadline=NEVER), [RUN] if s.wanted else []
        case Phase.DOWN, Spawned(pid):
            return begun(s, pid, now), [UP]
        case Phase.DOWN, Adopted(pid, _, _, True):
            deadline = now + policy.timeout_finish
            return replace(s, phase=Phase.FINISH, pid=pid, ran=True, pause=PAUSE, deadline=deadline), [
                CHANGED
            ]
        case Phase.DOWN, Adopted(pid, ready, started):
            s = replace(begun(s, pid, started), ready=ready, readied=started if ready else NEVER)
            return s, [Publish("up", "u", "adopted")]
        case Phase.DOWN, NotSpawned(reason, retry):
            return not_started(s, reason, retry, now)
        case Phase.UP, Readied() if not s.ready:
            return replace(s, ready=True, readied=now), [Publish("ready", "U")]
        case Phase.UP, Died(status):
            return died(s, status, now, policy)
        case Phase.UP, Expired():
            target = -s.pid if policy.kill_group else s.pid
            return killed_again(s, target, now)
        case Phase.FINISH, Spawned(pid):
            return replace(s, pid=pid, deadline=now + policy.timeout_finish), []
        case Phase.FINISH, Died(status) if status == PERMANENT:
            why = Publish("failed", "O", "finish asked not to be restarted")
            return settle(replace(s, wanted=False), now, [why])
        case Phase.FINISH, Died() | NotSpawned():
            return settle(s, now, [])
        case Phase.FINISH, Expired():
            return killed_again(s, s.pid, now)
        case _, Vanished():
            return vanish(s)
        case _, Returned():
            return replace(s, vanished=False), []
        case _:  # not news in this phase
            return s, []


def asked(s: Service, letter: str, now: float, policy: Policy, *, quiet: bool) -> Step:
    """What a command letter means; one that means nothing in this phase, or at all, is ignored."""
    match letter, s.phase:
        case "u" | "U", _:
            return wish(s, letter, wanted=True, start=True)
        case "o", Phase.DOWN:
            return wish(s, letter, wanted=False, start=True)
        case "o" | "O" | "Q", _:
            return wish(s, letter, wanted=False)
        case "d" | "D", _:
            s, effects = wish(s, letter, wanted=False)
            return bring_down(s, effects, now, policy, quiet=quiet)
        case "x", Phase.DOWN:
            return gone(replace(s, leaving=True), [])
        case "x", _:
            return replace(s, leaving=True), [CHANGED]
        case _, Phase.UP:
            return signal(s, letter, policy)
        case _:
            return s, []


def wish(s: Service, letter: str, *, wanted: bool, start: bool = False) -> Step:
    """Change what is wanted; start at once what is down, if asked to; a capital is remembered in the file ./down."""
    effects: list[Effect] = [MarkDown(MARKS[letter])] if letter in MARKS else []
    if s.phase == Phase.DOWN:
        s = replace(s, deadline=NEVER)
        effects += [RUN] if start else []
    return replace(s, wanted=wanted), [*effects, CHANGED]


def bring_down(s: Service, effects: list[Effect], now: float, policy: Policy, *, quiet: bool) -> Step:
    """Send the down signal to a run that lives, wake it if it is stopped, and give it until the time-out."""
    if s.phase != Phase.UP:
        return s, effects
    s = replace(s, paused=False, deadline=now + policy.timeout_kill)
    cont = Kill(s.pid, signals.CONT)
    if quiet:
        return s, [cont, *effects]
    s = replace(s, termed=s.termed or policy.down_signal == signals.TERM)
    return s, [Kill(s.pid, policy.down_signal), cont, *effects]


def signal(s: Service, letter: str, policy: Policy) -> Step:
    """Signal a run that lives, or its group."""
    match letter:
        case "p":
            return replace(s, paused=True), [Kill(s.pid, signals.STOP), CHANGED]
        case "c":
            return replace(s, paused=False), [Kill(s.pid, signals.CONT), CHANGED]
        case "P":
            return replace(s, paused=True), [Kill(-s.pid, signals.STOP), CHANGED]
        case "C":
            return replace(s, paused=False), [Kill(-s.pid, signals.CONT), CHANGED]
        case "K":
            return s, [Kill(-s.pid, signals.KILL)]
        case "l":
            return s, [Kill(s.pid, policy.reload_signal)]
        case "r":
            return sent(s, policy.down_signal)
        case _ if letter in SIGNALS:
            return sent(s, SIGNALS[letter])
        case _:
            return s, []


def sent(s: Service, signum: int) -> Step:
    if signum != signals.TERM:
        return s, [Kill(s.pid, signum)]
    return replace(s, termed=True), [Kill(s.pid, signum), CHANGED]


def begun(s: Service, pid: int, now: float) -> Service:
    return replace(
        s,
        phase=Phase.UP,
        pid=pid,
        ran=True,
        group=pid,
        ready=False,
        paused=False,
        termed=False,
        started=now,
        readied=NEVER,
        deadline=NEVER,
        failure="",
    )


def not_started(s: Service, reason: str, retry: float, now: float) -> Step:
    """A failed start is tried again later, as long as it is wanted, and said again only when the reason changes."""
    news: list[Effect] = [] if reason == s.failure else [Publish("failed", "", reason)]
    return replace(s, failure=reason, deadline=now + retry if s.wanted else NEVER), news


def died(s: Service, status: int, now: float, policy: Policy) -> Step:
    """`run` is dead: tell it, and clean up after it before it may come again."""
    pid, pause = s.pid, next_pause(s, now, policy)
    s = replace(s, pid=0, status=status, ready=False, paused=False, termed=False, pause=pause)
    down = Publish("down", "d", ending(status))
    if not policy.finish:
        return settle(s, now, [Tally(status), down])
    s = replace(s, phase=Phase.FINISH, deadline=now + policy.timeout_finish)
    return s, [Tally(status), Finish(status, pid, s.leaving), down]


def next_pause(s: Service, now: float, policy: Policy) -> float:
    """Seconds from the end of this life, which ended at NOW, to the next start."""
    if policy.restart_delay_max:
        if now - s.started >= LONG:
            return 0.0
        return max(PAUSE, min(2 * s.pause, policy.restart_delay_max))
    since = s.readied if policy.notifies else s.started
    return 0.0 if now - since >= GOOD else PAUSE


def killed_again(s: Service, target: int, now: float) -> Step:
    again = replace(s, paused=False, deadline=now + KILL_AGAIN)
    return again, [Kill(target, signals.CONT), Kill(target, signals.KILL)]


def settle(s: Service, now: float, effects: list[Effect]) -> Step:
    """Entirely down: come back after the pause, stay, or leave."""
    s = replace(s, phase=Phase.DOWN, pid=0, deadline=now + s.pause if s.wanted else NEVER)
    effects = [*effects, Publish("finished", "D")]
    return gone(s, effects) if s.leaving or s.vanished else (s, effects)


def vanish(s: Service) -> Step:
    """Nothing is killed because its entry went away; what is down already is let go."""
    s = replace(s, vanished=True)
    return gone(s, []) if s.phase == Phase.DOWN else (s, [])


def gone(s: Service, effects: list[Effect]) -> Step:
    return replace(s, phase=Phase.GONE, deadline=NEVER), [*effects, Publish("released", "x")]


def ending(status: int) -> str:
    """A wait status in words: `exit 1`, `signal KILL`."""
    if status & 0x7F:
        return f"signal {signals.name(status & 0x7F)}"
    return f"exit {status >> 8}"
