"""What svscan and process 1 have in common: a scan directory, its commands and signals.

Sources: `spec/supervision.md` 1.1 and `docs/supervision.md`. Before the loop a failure ends it, 100 or 111; inside the
loop nothing does: what can't be done is said and tried again.
"""

from __future__ import annotations

import os
import sys

from initfs import files, process, say, signals
from initfs.loop import NEVER, now
from initfs.supervise import claim, moving, reserve
from initfs.supervise.scandir import Limits, Scandir
from initfs.supervise.tree import Tree
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from initfs.supervise.moving import Carrier

CATCH_ALL, SHARED = "svscan-log", "svscan-logger"
TRAPPED = (
    signals.CHLD,
    signals.ALRM,
    signals.ABRT,
    signals.HUP,
    signals.TERM,
    signals.INT,
    signals.QUIT,
    signals.USR1,
    signals.USR2,
    signals.PWR,
    signals.WINCH,
    signals.IO,
)
# What a signal means as command letters, unless an executable .svscan/SIGNAME takes its place.
COMMANDS = {signals.HUP: "h", signals.TERM: "t", signals.INT: "t", signals.QUIT: "q"}
SCRIPTED = (*COMMANDS, signals.USR1, signals.USR2, signals.PWR, signals.WINCH)
LETTERS_MAX = 64
HOPELESS = 1.0  # seconds: errors that come faster than this one after another end the loop
MODES = {"p": "poweroff", "r": "reboot", "s": "halt", "e": "other"}


@value
class Options:
    """The command line."""

    scandir: str
    notification_fd: int = -1
    console_fd: int = -1
    services_max: int = 1000
    name_max: int = 251
    rescan: float = 0.0  # seconds, 0: never
    watch: bool = False
    runit: bool = False


class OutOfOrder(Exception):
    """Turning on makes no sense: the same comes again and again."""


class Svscan:
    """The program: a scan directory, its commands and signals, until it is told to end."""

    def __init__(
        self, given: Options, *, events: str = "events", luggage: dict[str, Any] | None = None
    ) -> None:
        """Take the scan directory, or take over from our former execution; say.Fatal when it can't be had.

        EVENTS is the path of the socket that serves them, below .svscan when it is relative.
        """
        self.options = given
        self.mode = ""  # handed to `finish`
        self.commands = COMMANDS
        self.on_end = self.end  # who is told that an end was asked for
        self.ending = self.renewing = False
        self.scanning = True
        self._aborted = False
        self._pending = ""
        self._home = -1 if luggage else os.open(".", os.O_PATH | os.O_CLOEXEC)
        self._claim = claim.make(given.scandir) if luggage is None else claim.resume(luggage["claim"])
        self._fd, self._private = self._claim.scandir, self._claim.private
        self._control = self._claim.control
        self.tree = Tree(runit=given.runit)
        # Before a directory is watched: that sends signals, whose default is the end.
        self.tree.loop.on_signals(self.signalled, *TRAPPED)
        self.scandir = Scandir(self.tree, self._fd, self._limits())
        self.tree.on_gone = self.scandir.gone
        self.tree.loop.watch(self._control, self._commanded)
        if luggage is None:
            os.fchdir(self._private)  # a socket's path has at most 107 bytes, unix(7)
            self.tree.journal.listen(self.tree.loop, events)
        else:
            self._resume(luggage)

    def _resume(self, luggage: dict[str, Any]) -> None:
        from initfs.supervise import relocation

        self.mode, self._pending, self.ending = luggage["mode"], luggage["pending"], luggage["ending"]
        self._home = moving.take(luggage["home"])
        relocation.resume(self.tree, self.scandir, luggage["tree"])
        signals.let(*TRAPPED)
        if not self.ending:
            self.scandir.request()
        took = f"executed anew: {self.tree.now - luggage['at']:.3f} seconds without supervision"
        say.info(took)
        self.tree.journal.publish("", "renewed", os.getpid(), took)

    def carry(self, carrier: Carrier) -> dict[str, Any]:
        """All that our next execution has to know. From here on signals wait for it."""
        from initfs.supervise import relocation

        signals.hold(*TRAPPED)
        self.tree.loop.turn(0.0)  # what was caught before
        return {
            "claim": claim.carry(self._claim, carrier),
            "home": carrier.keep(self._home),
            "mode": self.mode,
            "pending": self._pending,
            "ending": self.ending,
            "tree": relocation.carry(self.tree, self.scandir, carrier),
            "at": self.tree.now,
        }

    def renew(self) -> None:
        """Execute ourselves anew, as we were started. Returns when that is not possible: then nothing has changed."""
        self.renewing = False
        carrier = moving.Carrier()
        carrier.keep(self.options.console_fd)
        try:
            values = self.carry(carrier)
            os.fchdir(self._home)  # the command line may have relative paths
            carrier.execute(sys.executable, sys.orig_argv, self.tree.environment, values)
        except Exception as error:  # noqa: BLE001
            say.warning(f"unable to execute anew: {say.describe(error)}; going on")
        finally:
            signals.let(*TRAPPED)

    def has(self, path: str) -> bool:
        """Whether there is a file of this path below the scan directory."""
        return os.access(path, os.F_OK, dir_fd=self._fd)

    def begin(self) -> None:
        """Announce that commands are heard, and scan."""
        if self.options.notification_fd >= 0:
            files.tried("announce readiness", lambda: os.write(self.options.notification_fd, b"\n"))
            os.close(self.options.notification_fd)
        self.scandir.listing.clean()
        self.scandir.request()

    def run(self) -> None:
        """Turn until the end has come."""
        keep_turning(self.turn)

    def turn(self) -> bool:
        """One turn of everything; False when the end has come."""
        self.go_on(self.due)
        if self.renewing:
            self.renew()
        return not (self._aborted or (self.ending and self.scandir.empty))

    def go_on(self, due: float) -> None:
        """Wait until something happens, at most until DUE, and do what it asks for. What an error has interrupted is mended first."""
        if self.tree.troubled:
            from initfs.supervise import mending

            mending.mend(self.tree, self.scandir)
        self.tree.troubled = True
        self.tree.turn(due)
        if self.scanning and not self.ending:
            self.scandir.scan_if_due()
        self._act()
        self.tree.troubled = self.tree.interrupted

    @property
    def due(self) -> float:
        """When the scan directory is to be looked at again."""
        return NEVER if self.ending or not self.scanning else self.scandir.due

    def signalled(self, signum: int) -> None:
        """A caught signal: its script, or its built-in meaning."""
        if signum == signals.CHLD:
            self.tree.died()
        elif signum == signals.IO:
            self.scandir.request(soon=True)
        elif signum == signals.ALRM:
            self.scandir.request()
        elif signum == signals.ABRT:
            self._aborted = True
        elif signum in SCRIPTED and not self._script(f"SIG{signals.name(signum)}"):
            self._pending += self.commands.get(signum, "")

    def _commanded(self) -> None:
        data = files.take(self._control, LETTERS_MAX) or b""
        known = "".join(chr(byte) for byte in data if chr(byte) in "zabhitqnNx" + "".join(MODES))
        if len(known) < len(data):
            say.warning("unknown command on .svscan/control ignored")
        self._pending += known

    def _act(self) -> None:
        """Do what was commanded. A prune waits for the scan that was asked for with it; an end waits for nothing."""
        letters, self._pending = self._pending, ""
        for letter in letters:
            if letter in "nN" and self.scandir.requested and not self.ending:
                self._pending = (self._pending + letter)[:LETTERS_MAX]
            else:
                self._do(letter)

    def _do(self, letter: str) -> None:
        match letter:
            case "z":
                self.tree.died()
            case "a":
                self.scandir.request()
            case "h":
                self.scandir.request()
                self._pending += "n"
            case "n" | "N":
                self.scandir.prune(kill_loggers=letter == "N")
            case "b":
                self._aborted = True
            case "i" | "t" | "q":
                self.on_end(kill_loggers=letter == "q")
            case "x":
                self.renewing = True
            case _:
                self.mode = MODES[letter]

    def end(self, *, kill_loggers: bool = False) -> None:
        """Bring all services down; loggers end by end-of-file, or are told to as well."""
        if not self.ending:
            self.ending = True
            if self.scandir.has_catch_all():
                self._let_catch_all_end()
        self.scandir.dismiss_all(kill_loggers=kill_loggers)

    def _let_catch_all_end(self) -> None:
        """Its FIFO has an end only when nobody writes to it any more: neither do we."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)
        if say.stream != 2:
            os.close(say.stream)
            say.stream = self.options.console_fd

    def _script(self, name: str) -> bool:
        """Spawn .svscan/NAME; False when there is none, or it can't be run."""
        if not os.access(name, os.X_OK, dir_fd=self._private):
            return False
        try:
            process.spawn(
                f"./.svscan/{name}", [name], self.tree.environment, directory=self._fd, session=False
            )
        except OSError as error:
            say.warning(f"unable to run .svscan/{name}: {say.reason(error)}; the built-in action applies")
            return False
        process.claimed()
        return True

    def _limits(self) -> Limits:
        given = self.options
        return Limits(
            given.services_max,
            given.name_max,
            given.rescan,
            given.watch,
            CATCH_ALL,
            given.console_fd,
            SHARED,
            self._private,
        )

    def finish(self) -> say.Fatal | None:
        """Become `.svscan/finish`, told the mode if there is one; None when there is no such file."""
        return self.become("finish", *([self.mode] if self.mode else []))

    def become(self, name: str, *arguments: str) -> say.Fatal | None:
        """Restore the console, and become .svscan/NAME; None when there is no such file."""
        console = self.options.console_fd
        if console >= 0:
            os.dup2(console, 2)
            os.dup2(2, 1)
        os.fchdir(self._fd)
        if not os.path.lexists(f".svscan/{name}"):
            return None
        return process.execute([f".svscan/{name}", *arguments], self.tree.environment)


def keep_turning(turn: Callable[[], bool]) -> None:
    """Turn until that says False. This is the one place that catches: what goes wrong in a turn is said, and the next turn
    begins; only errors that follow each other within a second end the loop, with OutOfOrder.
    """
    failed = -NEVER
    while True:
        try:
            reserve.hold()
            if not turn():
                return
        except Exception as error:
            if isinstance(error, MemoryError):
                reserve.release()
            say.warning(f"bug: {say.describe(error)}; going on")
            if now() - failed < HOPELESS:
                raise OutOfOrder from error
            failed = now()


def take_over(given: Options) -> Svscan | None:
    """Go on where our former execution stopped; None when there was none. When what it left can't be used, one more execution follows,
    without it.
    """
    try:
        luggage = moving.arrived()
        return None if luggage is None else Svscan(given, luggage=luggage)
    except Exception as error:  # noqa: BLE001
        environment = moving.let_go(error, (given.console_fd,))
        os.execve(sys.executable, sys.orig_argv, environment)
