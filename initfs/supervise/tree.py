"""The services of one process: their children, deadlines and files, turned by one loop.

What a turn may do is bounded: at most a page of commands of each FIFO, 512 deaths, and BATCH units of queued work.
Starts come first; the files that clients read are written when no start is waiting, for until they are there nobody can ask.
A batch is made ready as a whole before its first start: after each vfork(2) the processor's caches are another program's, and what is
done between two starts takes three times as long as the same done in a row.
"""

from __future__ import annotations

import os
import time

from initfs import process, say
from initfs.loop import NEVER, Loop
from initfs.supervise.journal import Journal
from initfs.supervise.model import Expired, Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from initfs.supervise.unit import Unit

    class Owner(Protocol):
        """Whoever is told of a child's death."""

        def died(self, status: int) -> None: ...


EXPIRED = Expired()
BATCH = 50  # units started, or brought up to date on disk, in one turn
REAPED_AT_ONCE = 512
AGAIN, SELDOM = (
    1.0,
    60.0,
)  # seconds until a status file that could not be written is tried again, at first and at last


class Tree:
    """Units, whoever made them: a scan directory, or one command line."""

    def __init__(self, *, runit: bool = False) -> None:
        self.loop = Loop()
        self.journal = Journal()
        self.environment = dict(os.environ)
        self.runit = runit
        self.on_gone: Callable[[Unit], None] = lambda _unit: None
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._owners: dict[int, Owner] = {}
        self._due: dict[Unit, float] = {}
        self._changed: dict[Unit, None] = {}
        self._later: dict[Unit, float] = {}  # whose files or letters wait, and until when
        self._gone: dict[Unit, None] = {}
        self._unwritten: dict[
            Unit, float
        ] = {}  # whose files could not be written, and the pause before the next try
        self._starts: list[Callable[[], None]] = []
        self._deaths = False
        self._turns = 0
        self.interrupted = False  # something went wrong with a service in this turn
        self.troubled = False  # what went wrong is still to be mended

    @property
    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return time.monotonic()

    def turns(self) -> int:
        """How often the loop has turned."""
        return self._turns

    # What units and programs call ---------------------------------------------------------------

    def queue(self, start: Callable[[], None]) -> None:
        """Have START called in one of the next turns."""
        self._starts.append(start)

    def adopt(self, unit: Unit) -> None:
        """Begin a new unit: it starts in this turn or the next, and the files that nobody waits for follow when nothing is left to start.

        OSError when it can't be begun: it is closed then.
        """
        try:
            unit.begin()
        except OSError:
            self.drop(unit)
            unit.close()
            raise

    def own(self, pid: int, owner: Owner) -> None:
        """The death of the child PID is OWNER's news."""
        self._owners[pid] = owner
        process.claimed()

    def disown(self, pid: int) -> None:
        """The death of PID is nobody's news any more."""
        self._owners.pop(pid, None)

    def changed(self, unit: Unit) -> None:
        """The unit's status files are out of date, and it may have letters to send: what is published of it waits for them."""
        self._changed[unit] = None
        self.journal.hold()

    def settled(self, unit: Unit) -> None:
        """The unit's value is new: note its deadline, or that it has gone."""
        if unit.service.deadline == NEVER:
            self._due.pop(unit, None)
        else:
            self._due[unit] = unit.service.deadline
        if unit.service.phase == Phase.GONE:
            self._gone[unit] = None

    def null_stdio(self) -> list[tuple[int, int]]:
        """/dev/null as standard input and output."""
        return [(self._null, 0), (self._null, 1)]

    def died(self) -> None:
        """SIGCHLD: there are deaths to fetch."""
        self._deaths = True

    def forget_starts(self) -> None:
        """Start nothing of what is queued."""
        self._starts.clear()

    @property
    def starting(self) -> bool:
        """Some starts are still queued."""
        return bool(self._starts)

    # The turn ------------------------------------------------------------------------------------

    def turn(self, deadline: float = NEVER) -> None:
        """Wait for what happens first, at most until DEADLINE, and do all that it asks for."""
        self._turns += 1
        busy = self._starts or self._deaths or self._changed or self._gone
        nearest = min(min(self._due.values(), default=NEVER), min(self._later.values(), default=NEVER))
        self.interrupted = False
        self.loop.turn(0.0 if busy else min(nearest, deadline))
        if self._deaths:
            self._reap()
        if self.interrupted:
            return  # what went wrong is looked at before the same service is touched again
        self._work()
        self._expire()
        self._let_go()
        if not self._starts:
            self._flush()
            if not self._changed:
                self.journal.release()

    def _reap(self) -> None:
        """A restart that is due at once does not wait for the next waitpid(2), which walks all children."""
        for count, (pid, status) in enumerate(process.reap(), 1):
            owner = self._owners.pop(pid, None)
            if owner is not None:  # else an orphan that the kernel gave us
                self._guard(f"the death of {pid}", owner.died, status)
            if count == REAPED_AT_ONCE:  # a dying crowd must not starve the others
                return
        self._deaths = False

    def _expire(self) -> None:
        if not self._due:
            return
        now = self.now
        for unit in [unit for unit, deadline in self._due.items() if deadline <= now]:
            self._due.pop(unit, None)
            self._guard(unit.name, unit.feed, EXPIRED)

    def _guard(self, what: str, call: Callable[..., object], *arguments: object) -> None:
        """Call; what goes wrong with one service is said, and is no trouble for the others."""
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001
            self.interrupted = True
            say.warning(f"bug: {what}: {say.describe(error)}; going on")

    def _work(self) -> None:
        for _ in range(min(BATCH, len(self._starts))):
            self._guard("a start", self._starts.pop(0))

    def _flush(self) -> None:
        """Bring some units' files up to date, then tell: who hears a letter must find its state in the file.

        What changes again before its turn comes is written once.
        """
        now = self.now
        for unit in [unit for unit, when in self._later.items() if when <= now]:
            del self._later[unit]
            self._changed[unit] = None
        for unit in list(self._changed)[:BATCH]:
            del self._changed[unit]
            again = self._write(unit)
            if again != NEVER:
                self._later[unit] = again

    def _write(self, unit: Unit) -> float:
        """Write a unit's files and send its letters; returns when to come again."""
        try:
            unit.write()
        except FileNotFoundError:
            return NEVER  # the directory was removed while the service ran
        except OSError as error:
            if self._unwritten.setdefault(unit, AGAIN) == AGAIN:
                what = f"unable to write its status: {say.reason(error)}"
                say.warning(f"{unit.name}: {what}; trying again, ever more seldom")
            self._unwritten[unit] = min(2 * self._unwritten[unit], SELDOM)
            return self.now + self._unwritten[unit] / 2
        self._unwritten.pop(unit, None)
        return unit.protocol.flush(self.now)

    def _let_go(self) -> None:
        while self._gone:
            unit = next(iter(self._gone))
            self._write(unit)
            self.drop(unit)
            self._guard(unit.name, unit.close)
            self._guard(unit.name, self.on_gone, unit)
            self._gone.pop(unit, None)

    def drop(self, unit: Unit) -> None:
        """Know nothing of a unit any more."""
        for noted in (self._gone, self._due, self._changed, self._later, self._unwritten):
            noted.pop(unit, None)
