"""init: process 1. A tree with a beginning and an end: the catch-all log, stage 2, stage 3.

It never exits: what leads out of `main` is a system call, or the door in stage 1 that leaves a shell on the console.
Source: `spec/init.md` 7.1 to 7.3, and the FIFO trick of the "s6 init-stage1" mail.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from initfs import files, say, signals
from initfs.loop import NEVER
from initfs.pid1 import beginning, failsafe, memory, parameters, previous, renewal, surroundings
from initfs.pid1.ending import FINAL, Ending
from initfs.pid1.failsafe import Failsafe
from initfs.pid1.guard import Guard
from initfs.pid1.hardware import Hardware
from initfs.pid1.scripts import Scripts
from initfs.supervise import moving
from initfs.supervise.scanner import CATCH_ALL, TRAPPED, Options, OutOfOrder, Svscan, keep_turning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initfs.pid1.surroundings import Settings

USAGE = "init (as process 1; else: init runlevel)"
EVENTS = "/run/initfs/events"
STAGE2 = "/run/initfs/stage2"  # it is there once that has been run
LOGGER_LIMIT = 5.0  # seconds that stage 2 waits for the catch-all logger
SERVICES_MAX = 16000
# What is imported when it is first needed. A package that is replaced under us has other ones: they must be here before.
LATER = (
    "pid1.button",
    "pid1.failures",
    "pid1.leaving",
    "pid1.orders",
    "supervise.adoption",
    "supervise.diagnosis",
    "supervise.kept",
    "supervise.luggage",
    "supervise.mending",
    "supervise.relocation",
    "supervise.sharing",
)
# What a signal asks for (`spec/init.md` 7.2). TERM, QUIT and HUP mean nothing to process 1.
COMMANDS = {
    signals.INT: "rt",
    signals.USR1: "pt",
    signals.PWR: "pt",
    signals.USR2: "st",
}


class Init:
    """Process 1."""

    def __init__(self, console: int, started: float, given: Settings, luggage: dict[str, Any] | None) -> None:
        """CONSOLE is a descriptor of the console, STARTED when Python began, monotonic; LUGGAGE is from our former execution."""
        self.settings = given
        self.hardware = Hardware(given.watchdog, moving.take(luggage["watchdog"]) if luggage else -1)
        self.hardware.open()  # from the first second
        options = Options(beginning.SCANDIR, console_fd=console, services_max=SERVICES_MAX, watch=True)
        self.svscan = Svscan(options, events=EVENTS, luggage=luggage and luggage["svscan"])
        self.svscan.commands = COMMANDS
        self.svscan.on_end = self._asked
        self.tree = self.svscan.tree
        self.tree.environment = surroundings.for_all(os.environ, given.base)
        ended = {
            "stage2": self._booted,
            "shutdown": self._shutdown_ended,
            "failsafe": self._booted,
            "healthy": _nothing,
        }
        self.scripts = Scripts(self.tree, ended)
        self.ending = Ending(self.svscan, self.scripts, given.scripts, given.grace)
        self.guard = Guard(self.svscan, self.hardware, self._failing, self._healthy)
        self.failsafe = Failsafe(self.scripts, self.tree.journal, console, given.scripts)
        self.ending.on_failsafe = self.failsafe.enter
        self.ending.on_leave = self._leave
        self._told = False
        self.failures = renewal.read(os.environ)
        self.booting = os.path.exists(STAGE2)  # it has been run
        self._boot_by = self.tree.now + LOGGER_LIMIT
        if luggage:
            self._resume(luggage)
        elif self.failures.count:
            self._begin_again()
        else:
            self._begin(started)

    def _begin_again(self) -> None:
        """Go by what a former execution has left in files: it could not tell us more."""
        self.failsafe.on = os.path.exists(failsafe.FILE)
        self._told = True
        signals.let(*TRAPPED)  # held on the way here
        self.svscan.begin()
        if self.booting:
            self.guard.booted()
        _complete()
        files.tried("look for an end that had begun", self.ending.ask_again)

    def _begin(self, started: float) -> None:
        stage1 = os.environ.get("INITFS_STAGE1", "")
        self.tree.journal.publish("", "stage1", 1, when=float(stage1 or 0))
        self.tree.journal.publish("", "python", 1, when=started)
        if self.settings.store:
            variables = surroundings.kernels(os.environ)
            files.tried(
                "keep the kernel's variables", lambda: surroundings.keep(self.settings.store, variables)
            )
        self._tell_previous(previous.why(previous.read(), watchdog=self.hardware.reset))
        memory.be_fair()
        self.svscan.begin()

    def _tell_previous(self, why: str) -> None:
        """Say why the previous boot ended, if that is known; at the latest rc.init's record of boots knows."""
        if why:
            say.info(f"previous boot ended because: {why}")
            files.tried("note why", lambda: files.write(previous.FILE, f"{why}\n".encode()))
        else:
            why = surroundings.knob(previous.FILE)
        if why and not self._told:
            self._told = True
            self.tree.journal.publish("", "previous", 0, why)

    @property
    def due(self) -> float:
        """When to look again without a reason: at the scan directory, for the logger, at the end's next deadline."""
        boot = NEVER if self.booting else self._boot_by
        return min(self.svscan.due, self.ending.due, self.guard.due, boot)

    def turn(self) -> bool:
        """One turn; False when there is to be another execution."""
        self.svscan.go_on(self.due)
        if not self.booting and not self.ending.under_way and self._may_boot():
            self._boot()
        self.ending.turn()
        if self.ending.under_way:
            self.guard.ending()
        self.guard.turn()
        return not self.svscan.renewing

    def _asked(self, *, kill_loggers: bool = False) -> None:
        """An end was asked for."""
        del kill_loggers
        self.ending.ask(self.svscan.mode if self.svscan.mode in MODES else "poweroff")

    # Stage 2 --------------------------------------------------------------------------------------

    def _may_boot(self) -> bool:
        """Stage 2 follows the catch-all logger; but a logger that does not come must not keep the machine from booting."""
        if not self.settings.catch_all:
            return self.svscan.scandir.scanned
        logger = self.svscan.scandir.find(CATCH_ALL)
        return (logger is not None and logger.service.ready) or self.tree.now >= self._boot_by

    def _boot(self) -> None:
        self.booting = True
        files.tried("note stage 2", lambda: files.create(STAGE2))
        if not self.settings.container:
            beginning.accept_keyboard()
        why = failsafe.asked(self.settings)
        if why:
            self.failsafe.enter(why)
            return
        level = self.settings.parameters.level or parameters.level(sys.argv[1:]) or self.settings.level
        told = sys.argv[1:] if self.settings.container else parameters.plain(sys.argv[1:])
        pid = self.scripts.run("stage2", f"{self.settings.scripts}/rc.init", level, *told)
        if pid:
            self.tree.journal.publish("", "stage2", pid)

    def _booted(self, status: int) -> None:
        failed = f"rc.init ended with wait status {status}" if status else ""
        if failed:
            say.warning(f"{failed}; the early services stay")
        _complete()  # before anybody can hear that the boot is over, and replace the package
        self.tree.journal.publish("", "booted", 0, failed)
        if not self._told:  # a driver that rc.init has loaded may have brought more
            self._tell_previous(previous.why(previous.read(), watchdog=False))
        self.guard.booted()
        if not self.settings.container:
            memory.lock()

    def _failing(self, policy: str, why: str) -> None:
        """A service fails, and says what is to be done about it."""
        self.tree.journal.publish("", "failing", 0, f"{why}: {policy}")
        say.warning(f"{why}: {policy}")
        if policy == "failsafe":
            self.failsafe.enter(why)
        else:
            self.ending.ask("reboot")

    def _healthy(self) -> None:
        self.tree.journal.publish("", "healthy", 1)
        script = f"{self.settings.scripts}/rc.healthy"
        if not self.failsafe.on and os.access(script, os.X_OK):
            self.scripts.run("healthy", script)

    def _leave(self, mode: str) -> None:
        from initfs.pid1 import leaving

        if self.settings.container:
            leaving.leave_container(mode, sync=self.settings.sync)
        previous.leave_word(mode)
        leaving.leave(mode, f"{self.settings.scripts}/{FINAL}")

    def _shutdown_ended(self, status: int) -> None:
        self.ending.script_ended(status)

    # The next execution ---------------------------------------------------------------------------

    def renew(self) -> None:
        """Execute ourselves anew, with all that we know. Returns when that is not possible: then nothing has changed."""
        self.svscan.renewing = False
        say.warning("beginning anew")
        try:
            carrier = moving.Carrier()
            values = self.carry(carrier)
            renewal.go(self.settings.init, self.failures, dict(os.environ), carrier, values)
        except Exception as error:  # noqa: BLE001
            say.warning(f"unable to execute anew: {say.describe(error)}; going on")
        finally:
            signals.let(*TRAPPED)

    def carry(self, carrier: moving.Carrier) -> dict[str, Any]:
        """All that our next execution has to know."""
        carrier.keep(beginning.hold_log())
        return {
            "svscan": self.svscan.carry(carrier),
            "scripts": self.scripts.running,
            "ending": self.ending.carry(),
            "guard": self.guard.carry(),
            "failsafe": self.failsafe.on,
            "watchdog": carrier.keep(self.hardware.fd),
        }

    def _resume(self, luggage: dict[str, Any]) -> None:
        for name, pid in luggage["scripts"].items():
            self.scripts.follow(name, pid)
        self.ending.resume(luggage["ending"])
        self.guard.resume(luggage["guard"])
        self.failsafe.on, self._told = luggage["failsafe"], True
        _complete()

    def fail(self) -> None:
        """Out of order: another execution may do better. OutOfOrder when enough were tried."""
        self.failures = renewal.failed(self.failures, self.tree.now)
        if self.failures.hopeless:
            if self.settings.emergency == "shell":
                self.hardware.stop()
            self.svscan.become("crash")
            raise OutOfOrder(f"{self.failures.count} times within {renewal.SOON:g} seconds")
        if not self.failures.suspicious:
            self.renew()
        say.warning("beginning anew, with nothing")
        renewal.go(self.settings.init, self.failures, {**os.environ, moving.VARIABLE: moving.LOST})


def _complete() -> None:
    """Have all of our program in memory, in one version: it may be replaced on the disk at any time."""
    for name in LATER:
        __import__(f"initfs.{name}")


def _nothing(_status: int) -> None:
    """The end of a script that nobody waits for."""


MODES = ("halt", "poweroff", "reboot")


def main(argv: list[str]) -> int:
    started = time.monotonic()
    if os.getpid() != 1:
        from initfs.pid1 import telinit

        return telinit.main(["telinit", *argv[1:]])
    say.program = argv[0]
    signals.ignore(signals.PIPE)
    given = surroundings.settings(os.environ)
    surroundings.wait(os.environ.pop("INITFS_WAIT", ""))
    surroundings.limit(os.environ.get("INITFS_LIMITS", ""))
    program = begin(started, given)
    gc.freeze()  # what is here stays for ever
    gc.enable()
    while True:
        try:
            keep_turning(program.turn)
            program.renew()
        except OutOfOrder:
            program.fail()


def begin(started: float, given: Settings) -> Init:
    """Process 1, at the machine's beginning or where its former execution stopped."""
    came = os.environ.get(moving.VARIABLE, moving.LOST) != moving.LOST
    try:
        luggage = moving.arrived()
        console = beginning.open_log(fifo=given.catch_all)
        return Init(console, started, given, luggage)
    except Exception as error:
        if not came:
            raise
        renewal.go(given.init, renewal.failed(renewal.read(os.environ), started), moving.let_go(error))
