"""init: process 1. The tree of `svscan` with a beginning and an end: the catch-all log, stage 2, stage 3.

It never exits: what leads out of `main` is a system call, or the door in stage 1 that leaves a shell on the console.
Source: `spec/init.md` 7.1 to 7.3, and the FIFO trick of the "s6 init-stage1" mail.
"""

from __future__ import annotations

import fcntl
import os
import time

from initfs import files, process, say, signals
from initfs.loop import NEVER
from initfs.pid1 import leaving, shutdown
from initfs.pid1.shutdown import Shutdown, Stage
from initfs.supervise.svscan import CATCH_ALL, Options, OutOfOrder, Svscan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.pid1.shutdown import Effect, Event

USAGE = "init (as process 1)"
SCANDIR = "/run/service"
FIFO = f"{SCANDIR}/{CATCH_ALL}/fifo"
EVENTS = "/run/initfs/events"
LAST_WORDS = "/run/initfs/events-port"  # a link to where events go when nobody is left to carry them
LOGGER_LIMIT = 5.0  # seconds that stage 2 waits for the catch-all logger
AGAIN = "INITFS_AGAIN"  # in the environment: when, and how often in a row, process 1 has executed itself anew
SOON, OFTEN = 60.0, 3  # that often within that many seconds, and a person has to look
STAGE2, SHUTDOWN = "/etc/initfs/rc.init", "/etc/initfs/rc.shutdown"
KDSIGACCEPT = 0x4B4E  # linux/kd.h: which signal the keyboard's special request sends
# What a signal asks for (`spec/init.md` 7.2). TERM, QUIT and HUP mean nothing to process 1.
COMMANDS = {
    signals.INT: "rt",
    signals.USR1: "pt",
    signals.PWR: "pt",
    signals.USR2: "st",
}


class Init(Svscan):
    """Process 1."""

    def __init__(self, console: int, started: float) -> None:
        """CONSOLE is a descriptor of the console, STARTED when Python began, monotonic."""
        super().__init__(Options(SCANDIR, console_fd=console, services_max=16000, watch=True))
        self.commands = COMMANDS
        self.shutdown = Shutdown()
        self.tree.environment = {"PATH": "/usr/bin", "TERM": os.environ.get("TERM", "linux")}
        self._booting = AGAIN in os.environ  # stage 2 has run before we executed ourselves anew
        self._boot_by = self.tree.now + LOGGER_LIMIT
        self._end_began = 0  # the number of the last event before it
        stage1 = os.environ.get("INITFS_STAGE1", "")
        self.tree.journal.publish("", "stage1", 1, when=float(stage1 or 0))
        self.tree.journal.publish("", "python", 1, when=started)

    def serve_events(self) -> None:
        """Serve the events where a board's programs look for them."""
        self.tree.journal.listen(self.tree.loop, EVENTS)

    @property
    def due(self) -> float:
        """When to look again without a reason: at the scan directory, for the logger, at the end's next deadline."""
        if self.shutdown.stage != Stage.RUNNING:
            return self.shutdown.deadline
        return min(self.scandir.due, NEVER if self._booting else self._boot_by)

    def turn(self) -> bool:
        """One turn; False once nothing is left to do but the system call."""
        self.tree.turn(self.due)
        if self.shutdown.stage == Stage.RUNNING:
            self.scandir.scan_if_due()
        self._act()
        if not self._booting and self._may_boot():
            self._booting = True
            self._run_script(STAGE2, "stage2", self._booted)
        self._end()
        return self.shutdown.stage != Stage.ENDED

    def end(self, *, kill_loggers: bool = False) -> None:
        """An end was asked for."""
        del kill_loggers
        self._feed(shutdown.Asked(self.mode or "poweroff"))

    def _may_boot(self) -> bool:
        """Stage 2 follows the catch-all logger; but a logger that does not come must not keep the machine from booting."""
        logger = self.scandir.find(CATCH_ALL)
        return (logger is not None and logger.service.ready) or self.tree.now >= self._boot_by

    def _run_script(self, path: str, event: str, done: Callable[[int], None]) -> None:
        """Run a script; its output goes where ours goes, to the catch-all."""
        try:
            pid = process.spawn(path, [path], self.tree.environment)
        except OSError as error:
            say.warning(f"unable to run {path}: {say.reason(error)}")
            done(127 << 8)
            return
        if event:
            self.tree.journal.publish("", event, pid)
        self.tree.own(pid, Script(done))

    def _booted(self, status: int) -> None:
        failed = f"{STAGE2} ended with wait status {status}" if status else ""
        if failed:
            say.warning(f"{failed}; the early services stay")
        self.tree.journal.publish("", "booted", 0, failed)

    # Stage 3 --------------------------------------------------------------------------------------

    def _feed(self, event: Event) -> None:
        self.shutdown, effects = shutdown.step(self.shutdown, event, self.tree.now)
        for effect in effects:
            self._obey(effect)

    def _end(self) -> None:
        """See whether the stage's work is done, or its time over. What is done at once leads straight to the next."""
        while self._stage_done():
            self._feed(shutdown.Finished(self.shutdown.stage))
        if self.tree.now >= self.shutdown.deadline:
            say.warning(f"the stage '{self.shutdown.stage}' takes too long; going on")
            self._feed(shutdown.Expired())

    def _stage_done(self) -> bool:
        match self.shutdown.stage:
            case Stage.SERVICES:
                return self.scandir.empty
            case Stage.TERM | Stage.KILL:
                return not _children()
            case _:
                return False

    def _obey(self, effect: Effect) -> None:
        match effect:
            case shutdown.Tell(event):
                if event == "stopping":
                    self._end_began = self.tree.journal.seq
                if event == "stage3":
                    self._open_last_words()
                self.tree.journal.publish("", event, 1, self.shutdown.mode)
            case shutdown.RunScript():
                ended = shutdown.Finished(Stage.SCRIPT)
                self._run_script(SHUTDOWN, "", lambda _status: self._feed(ended))
            case shutdown.EndServices():
                super().end()
            case shutdown.SignalAll(signum):
                _signal_all(signum)
            case shutdown.Leave(mode):
                leaving.leave(mode)

    def _open_last_words(self) -> None:
        """Nobody carries the events any more: write those of the end where the carrier wrote them."""
        try:
            fd = os.open(LAST_WORDS, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        self.tree.journal.write_last(fd, self._end_began)


class Script:
    """A child that is no service: its death is handed on."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self._done = done

    def died(self, status: int) -> None:
        self._done(status)


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


def open_log() -> int:
    """Put all output into the catch-all's FIFO, and return the console.

    The reading end is opened first, so that opening the writing end does not wait for the logger, and it is kept: what early
    services write before the logger reads is held by the kernel, and kills nobody. Services inherit a writing end that blocks, as
    they expect; ours is another that never does.
    """
    console = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    try:
        os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        ours = os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        theirs = os.open(FIFO, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        say.warning(f"unable to open the catch-all's FIFO: {say.reason(error)}; messages stay on the console")
        return console
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)
    os.close(theirs)
    say.stream = ours
    return console


def accept_keyboard() -> None:
    """Have the keyboard's special request arrive as SIGWINCH; a board without a screen has no tty0."""
    try:
        fd = os.open("/dev/tty0", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    files.tried("accept the keyboard's request", lambda: fcntl.ioctl(fd, KDSIGACCEPT, signals.WINCH))
    os.close(fd)


def main(argv: list[str]) -> int:
    started = time.monotonic()
    if os.getpid() != 1:
        raise say.usage(USAGE)
    say.program = argv[0]
    signals.ignore(signals.PIPE)
    console = open_log()
    accept_keyboard()
    program = Init(console, started)
    program.begin()
    try:
        program.run()
    except OutOfOrder:
        again(console, started)
    while True:  # the kernel did not do as asked; there is nothing else to do, and process 1 must not exit
        program.tree.loop.turn(NEVER)


def again(console: int, started: float) -> None:
    """Execute ourselves anew: the pid and the children stay, and the new tree adopts them. Not for ever: see the door in stage 1."""
    then, _, count = os.environ.get(AGAIN, "").partition(" ")
    often = int(count) + 1 if then and started - float(then) < SOON else 1
    if often > OFTEN:
        raise OutOfOrder(f"{often - 1} times within {SOON:g} seconds")
    say.warning("beginning anew")
    os.dup2(console, 1)
    os.dup2(console, 2)
    environment = {**os.environ, AGAIN: f"{started} {often}"}
    os.execve("/bin/sh", ["sh", "/init", "again"], environment)
