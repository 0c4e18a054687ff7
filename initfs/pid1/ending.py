"""Stage 3: hears the orders to end, and obeys the plan of `shutdown.py`."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.pid1 import shutdown
from initfs.pid1.shutdown import Shutdown, Stage
from initfs.supervise.scanner import CATCH_ALL
from initfs.value import fields, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.pid1.scripts import Scripts
    from initfs.pid1.shutdown import Effect, Event
    from initfs.supervise.scanner import Svscan

FIFO = "/run/initfs/shutdown"  # where orders arrive
NOTE = "/run/initfs/ending"  # what the end is for, once it has begun: an execution that knows nothing begins it again
LAST_WORDS = "/run/initfs/events-port"  # a link to where events go when nobody is left to carry them
SCRIPT, FINAL = "rc.shutdown", "rc.shutdown.final"


class Ending:
    """The end of the machine."""

    def __init__(self, svscan: Svscan, scripts: Scripts, directory: str, grace: float) -> None:
        """The scripts of the end are in DIRECTORY; GRACE is what an order gets that names none."""
        self.shutdown = Shutdown()
        self.on_failsafe: Callable[[str], None] = lambda _why: None
        self.on_leave: Callable[[str], None] = lambda _mode: None
        self._svscan = svscan
        self._scripts = scripts
        self._directory = directory
        self._grace = grace
        self._began = 0  # the number of the last event before it
        self._rest = b""
        self._fifo = self._open()

    def _open(self) -> int:
        try:
            files.make_fifo(FIFO, 0o600)
            fifo = files.hold_fifo(FIFO)
        except OSError as error:
            say.warning(f"unable to hear orders on {FIFO}: {say.reason(error)}")
            return -1
        self._svscan.tree.loop.watch(fifo, self._ordered)
        return fifo

    @property
    def under_way(self) -> bool:
        """The machine is ending: nothing new is begun."""
        return self.shutdown.stage not in (Stage.RUNNING, Stage.WAITING)

    @property
    def due(self) -> float:
        """When the stage's time is over."""
        return self.shutdown.deadline

    def ask(self, mode: str) -> None:
        """An end was asked for, to begin now."""
        self.feed(shutdown.Asked(mode, grace=self._grace))

    def ask_again(self) -> None:
        """Begin the end again that a former execution had begun, if it had."""
        mode = (files.read(NOTE) or b"").decode(errors="replace")
        if mode:
            self.ask(mode)

    def _ordered(self) -> None:
        from initfs.pid1 import orders  # not before the first service is up

        found, self._rest, wrong = orders.decode(self._rest + (files.take(self._fifo) or b""))
        if wrong:
            say.warning(f"{wrong} bytes of an unknown order ignored")
        for order in found:
            match order:
                case orders.End(mode, after, grace):
                    self.feed(shutdown.Asked(mode, after, grace or self._grace))
                case orders.Cancel():
                    self.feed(shutdown.Cancelled())
                case orders.Failsafe():
                    self.on_failsafe("asked for")

    def feed(self, event: Event) -> None:
        """Hand an event to the plan, and obey."""
        self.shutdown, effects = shutdown.step(self.shutdown, event, self._svscan.tree.now)
        self._svscan.scanning = not self.under_way
        for effect in effects:
            self._obey(effect)

    def turn(self) -> None:
        """See whether the stage's work is done, or its time over. What is done at once leads straight to the next."""
        if self.shutdown.stage == Stage.SERVICES and self._svscan.scandir.only(CATCH_ALL):
            self.feed(shutdown.Alone())
        while self._stage_done():
            self.feed(shutdown.Finished(self.shutdown.stage))
        if self._svscan.tree.now >= self.shutdown.deadline:
            if self.under_way:
                say.warning(f"the stage '{self.shutdown.stage}' takes too long; going on")
            self.feed(shutdown.Expired())

    def _stage_done(self) -> bool:
        match self.shutdown.stage:
            case Stage.SERVICES:
                return self._svscan.scandir.empty
            case Stage.TERM | Stage.KILL:
                return not _children()
            case _:
                return False

    def _obey(self, effect: Effect) -> None:
        match effect:
            case shutdown.Tell(event):
                self._tell(event)
            case shutdown.RunScript():
                self._scripts.run("shutdown", f"{self._directory}/{SCRIPT}")
            case shutdown.EndServices():
                self._svscan.end()
            case shutdown.SignalAll(signum):
                _signal_all(signum)
            case shutdown.Leave(mode):
                self.on_leave(mode)

    def _tell(self, event: str) -> None:
        journal = self._svscan.tree.journal
        if event == "stopping":
            self._began = journal.seq
            files.tried("note the end", lambda: files.write(NOTE, self.shutdown.mode.encode()))
        if event == "single":
            files.tried("forget the end", lambda: files.remove(NOTE))
        if event == "stage3":
            self._open_last_words()
        journal.publish("", event, 1, self.shutdown.mode)

    def script_ended(self, status: int) -> None:
        """rc.shutdown has ended: whatever it says, the end goes on."""
        if status:
            say.warning(f"{SCRIPT} ended with wait status {status}; going on")
        self.feed(shutdown.Finished(Stage.SCRIPT))

    def _open_last_words(self) -> None:
        """Nobody carries the events any more: write those of the end where the carrier wrote them."""
        try:
            fd = os.open(LAST_WORDS, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        self._svscan.tree.journal.write_last(fd, self._began)

    def carry(self) -> dict[str, object]:
        """What our next execution has to know."""
        return {"shutdown": fields(self.shutdown), "began": self._began, "rest": self._rest}

    def resume(self, values: dict[str, object]) -> None:
        """Go on with an end that had begun, or was waited for."""
        self.shutdown = Shutdown(**values["shutdown"])  # type: ignore[arg-type]
        self._began, self._rest = values["began"], values["rest"]  # type: ignore[assignment]
        self._svscan.scanning = not self.under_way
        if self.shutdown.stage == Stage.SCRIPT and "shutdown" not in self._scripts.running:
            self.shutdown = replace(self.shutdown, deadline=0.0)  # nobody would tell us of its end


def _signal_all(signum: int) -> None:
    """Signal every process but ourselves; that there is none is fine."""
    try:
        os.kill(-1, signum)
    except ProcessLookupError:
        return


def _children() -> bool:
    """Whether any process is left below process 1."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
