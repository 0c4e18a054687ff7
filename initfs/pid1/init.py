"""init: process 1. The tree of `svscan` with a beginning and an end: the catch-all log, stage 2, stage 3.

It never exits: what leads out of `main` is a system call, or the door in stage 1 that leaves a shell on the console.
Source: `spec/init.md` 7.1 to 7.3, and the FIFO trick of the "s6 init-stage1" mail.
"""

from __future__ import annotations

import fcntl
import os
import time

from initfs import files, kernel, process, say, signals
from initfs.loop import NEVER
from initfs.pid1 import mounts, shutdown
from initfs.pid1.shutdown import Shutdown, Stage
from initfs.supervise.svscan import CATCH_ALL, Options, Svscan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.pid1.shutdown import Effect, Event

USAGE = "init (as process 1)"
SCANDIR = "/run/service"
FIFO = f"{SCANDIR}/{CATCH_ALL}/fifo"
EVENTS = "/run/initfs/events"
LAST_WORDS = "/run/initfs/events-port"  # a link to where events go when nobody is left to carry them
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
        self._spare = -1
        self._booting = False
        self._end_began = 0  # the number of the last event before it
        stage1 = os.environ.get("INITFS_STAGE1", "")
        self.tree.journal.publish("", "stage1", 1, when=float(stage1 or 0))
        self.tree.journal.publish("", "python", 1, when=started)

    def serve_events(self) -> None:
        """Serve the events where a board's programs look for them."""
        self.tree.journal.listen(self.tree.loop, EVENTS)

    def turn(self) -> bool:
        """One turn; False once nothing is left to do but the system call."""
        self.tree.turn(min(self.due, self.shutdown.deadline))
        if self.shutdown.stage == Stage.RUNNING:
            self.scandir.scan_if_due()
        self._act()
        self._boot()
        self._end()
        return self.shutdown.stage != Stage.ENDED

    def end(self, *, kill_loggers: bool = False) -> None:
        """An end was asked for."""
        del kill_loggers
        self._feed(shutdown.Asked(self.mode or "poweroff"))

    def _boot(self) -> None:
        """Run stage 2 once the early services are started; keep the catch-all's FIFO readable once it is read."""
        if self.scandir.scanned and not self._booting:
            self._booting = True
            self._run_script(STAGE2, "stage2", self._booted)
        if self._spare < 0:
            logger = self.scandir.find(CATCH_ALL)
            if logger is not None and logger.service.ready:
                self._spare = os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _run_script(self, path: str, event: str, done: Callable[[int], None]) -> None:
        """Run a script whose output goes to the catch-all. Its shell waits for the FIFO's reader, we do not."""
        script = f"exec >{FIFO} 2>&1; exec {path}"
        try:
            pid = process.spawn("/bin/sh", ["sh", "-c", script], self.tree.environment)
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
            self._feed(shutdown.Finished())
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
                self._run_script(SHUTDOWN, "", lambda _status: self._feed(shutdown.Finished()))
            case shutdown.EndServices():
                super().end()
            case shutdown.SignalAll(signum):
                _signal_all(signum)
            case shutdown.Leave(mode):
                os.sync()
                mounts.unmount_all()
                files.tried(mode, lambda: kernel.reboot(mode))

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
    """Put our output into the catch-all's FIFO, and return the console.

    Opened for reading first, so that opening it for writing does not wait for the logger; the reader is closed again, so
    that stage 2, which opens it in the ordinary way, waits until the logger reads.
    """
    console = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    try:
        reading = os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        writing = os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        say.warning(f"unable to open the catch-all's FIFO: {say.reason(error)}; messages stay on the console")
        return console
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    os.close(reading)
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
    program.run()
    while True:  # the kernel did not do as asked; there is nothing else to do, and process 1 must not exit
        program.tree.loop.turn(NEVER)
