"""Carrying out one phase of a change: obeys `plan.Change`, one loop for all that is under way. No decision about order is taken here.

Every success is written to the state before what it makes possible begins: whenever this process is killed, the state tells what is true,
except for what was just under way, and a later change finds those services as they are.
"""

from __future__ import annotations

from initfs import loop, say, signals
from initfs.manager import plan, timing
from initfs.manager.longrun import Longrun
from initfs.manager.oneshot import Busy, Oneshot, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.live import Live

    Job = Longrun | Oneshot

TIMED_OUT = 2
AGAIN = 0.005  # seconds until a status that no event announces is looked at again
SPARE = 32  # descriptors for all else
EACH = 2  # descriptors of a transition
BEGUN_WITHIN = 30.0  # seconds that the runner has to begin a script, before the script's own limit


class TimedOut(Exception):
    """The limit for all of it is over."""


class Engine:
    """What is under way in a live directory."""

    def __init__(self, live: Live, *, deadline: float = loop.NEVER, verbosity: int = 1) -> None:
        self.live = live
        self._deadline = deadline
        self._verbosity = verbosity
        self._loop = loop.Loop()
        self._loop.on_signals(self._signalled, signals.TERM, signals.INT)
        self._jobs: dict[int, Job] = {}
        self._until: dict[int, float] = {}
        self._began: dict[int, float] = {}
        self._waiting: list[int] = []  # possible, but there is no room for their descriptors
        self._unsettled: dict[int, Longrun] = {}
        self._ended: list[int] = []
        self._change: plan.Change | None = None
        self._leaving = False
        self.took: dict[int, float] = {}  # seconds that each transition took
        self._most = 1
        self._runner = Runner(self._loop, live.path, self._answered, self._order_again)

    def run(self, change: plan.Change) -> bool:
        """Carry out a phase; whether nothing failed. TimedOut when the limit for all is over: what is under way goes on then."""
        self._change = change
        self._make_room(len(change.phase.services))
        self._waiting = change.begin()
        self._tell_spared(0)
        while self._waiting or self._jobs:
            busy = self._start_some()
            if self._ended:
                self._collect()
            elif self._jobs or busy:
                self._turn(busy=busy)
        self._change = None
        self._began.clear()
        if self._verbosity >= 3:
            for number in change.already:
                self._say(say.info, number, f"is {'up' if change.phase.up else 'down'} already")
        return not change.failed and not self._leaving

    def _make_room(self, services: int) -> None:
        from initfs.supervise import waiters

        waiters.make_room(EACH * services)
        import resource

        self._most = max(1, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE) // EACH)

    def _turn(self, *, busy: bool) -> None:
        """Wait for what comes next; BUSY: the runner is, so it has to be asked again."""
        nearest = min(min(self._until.values(), default=loop.NEVER), self._deadline)
        if self._unsettled or busy:
            nearest = min(nearest, loop.now() + AGAIN)
        self._loop.turn(nearest)
        for number, job in list(self._unsettled.items()):
            job.look()
            self._check(number, job)
        self._expire()

    def _expire(self) -> None:
        now = loop.now()
        if now >= self._deadline and (self._jobs or self._waiting) and not self._ended:
            raise TimedOut
        for number in [number for number, until in self._until.items() if until <= now]:
            if self._jobs[number].outcome is None:
                self._jobs[number].outcome = "timed out"
                self._ended.append(number)

    # The transitions ------------------------------------------------------------------------------

    def _start_some(self) -> bool:
        """Begin what is possible, as far as there is room; whether the runner had none."""
        room = self._most - len(self._jobs)
        now, self._waiting = self._waiting[:room], self._waiting[room:]
        for at, number in enumerate(now):
            if not self._start(number):
                self._waiting[:0] = now[at:]
                break
        else:
            at = len(now)
        self._runner.flush()
        return at < len(now)

    def _start(self, number: int) -> bool:
        """Begin a transition; False when there is no room for it now."""
        assert self._change is not None
        up = self._change.phase.up
        database = self.live.index.database
        milliseconds = database.timeouts[number][int(up)]
        if self._verbosity >= 2 and number not in self._began:
            self._say(say.info, number, "starting" if up else "stopping")
        began = self._began[number] = loop.now()
        try:
            if number < database.longruns:
                self._watch_longrun(number, Longrun(self.live.servicedir(number), up=up))
            elif not database.scripts[number - database.longruns][int(up)]:
                self._succeed(number)
            else:
                self._runner.order(number, int(up), milliseconds)
                self._jobs[number] = Oneshot()
        except say.Fatal as fatal:
            self._fail(number, str(fatal))
        except Busy:
            return False
        if milliseconds and number in self._jobs:
            waiting = 0.0 if number < database.longruns else BEGUN_WITHIN
            self._until[number] = plan.limit(milliseconds, began + waiting, loop.NEVER)
        return True

    def _watch_longrun(self, number: int, job: Longrun) -> None:
        self._jobs[number] = job
        if job.unready and self._verbosity >= 2:
            self._say(say.warning, number, "announces no readiness: waiting until it is up")
        self._loop.watch(job.events, lambda: self._heard(number, job))
        self._loop.watch(job.control, lambda: self._lost(number, job), events=0)
        self._check(number, job)

    def _heard(self, number: int, job: Longrun) -> None:
        job.hear()
        self._check(number, job)

    def _lost(self, number: int, job: Longrun) -> None:
        self._loop.forget(job.control)
        job.lose()
        self._check(number, job)

    def _answered(self, number: int, outcome: str) -> None:
        """A script has ended; it may have been given up on before."""
        job = self._jobs.get(number)
        if job is not None and job.outcome is None:
            job.outcome = outcome
            self._check(number, job)

    def _order_again(self, number: int) -> None:
        """The runner died before it began a script."""
        job = self._jobs.get(number)
        if job is not None and job.outcome is None:
            del self._jobs[number]
            self._until.pop(number, None)
            self._waiting += [] if self._leaving else [number]

    def _check(self, number: int, job: Job) -> None:
        if isinstance(job, Longrun) and job.unsettled:
            self._unsettled[number] = job
        else:
            self._unsettled.pop(number, None)
        if job.outcome is not None and number not in self._ended:
            self._ended.append(number)

    def _collect(self) -> None:
        """Draw the consequences of all that has ended."""
        ended, self._ended = self._ended, []
        for number in ended:
            job = self._jobs.pop(number)
            self._until.pop(number, None)
            self._unsettled.pop(number, None)
            self._release(job)
            if job.outcome:
                job.give_up()
                self._fail(number, job.outcome)
            else:
                job.settle()
                self._succeed(number)
            job.close()

    def _release(self, job: Job) -> None:
        if isinstance(job, Longrun):
            self._loop.forget(job.events)
            self._loop.forget(job.control)

    def _succeed(self, number: int) -> None:
        assert self._change is not None
        up = self._change.phase.up
        if up:
            self.took[number] = loop.now() - self._began[number]
        byte = self.live.state[number]
        self.live.set(number, byte | plan.UP if up else byte & ~plan.UP)
        spared = len(self._change.spared)
        self._waiting += self._change.succeeded(number)
        self._tell_spared(spared)
        if self._verbosity >= 2:
            self._say(say.info, number, "is up" if up else "is down")

    def _fail(self, number: int, why: str) -> None:
        assert self._change is not None
        self._change.fail(number)
        if self._verbosity:
            self._say(
                say.warning, number, f"unable to {'start' if self._change.phase.up else 'stop'} it: {why}"
            )

    def _tell_spared(self, told: int) -> None:
        assert self._change is not None
        for number in self._change.spared[told:] if self._verbosity else ():
            self._say(say.warning, number, "is essential, not stopping it; -D would")

    def _say(self, how: object, number: int, text: str) -> None:
        how(f"{self.live.index.database.names[number]}: {text}")  # type: ignore[operator]

    def _signalled(self, signum: int) -> None:
        """Begin nothing more; longruns are no longer waited for, oneshots end: what they did would not be known else."""
        assert self._change is not None
        if self._verbosity:
            say.warning(f"got {signals.name(signum)}: nothing more begins")
        self._leaving = True
        self._change.stop()
        self._waiting = []
        for number, job in self._jobs.items():
            if isinstance(job, Longrun) and job.outcome is None:
                job.outcome = f"given up on {signals.name(signum)}"
                self._ended.append(number)


def change(
    live: Live, phases: list[plan.Phase], kept: set[int], *, deadline: float = loop.NEVER, verbosity: int = 1
) -> int:
    """Carry out the phases of a change, each only when the one before went well; the exit code: 0, 1 something failed, 2 timed out."""
    engine = Engine(live, deadline=deadline, verbosity=verbosity)
    index = live.index
    try:
        for phase in phases:
            made = plan.Change(index.database.depends, index.dependents, phase, live.up(), kept)
            if not engine.run(made):
                return say.NO
    except TimedOut:
        say.fatal("timed out; what is under way goes on")
        return TIMED_OUT
    finally:
        if engine.took:
            timing.record(live, engine.took)
    return say.OK
