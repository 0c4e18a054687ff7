"""svscan: supervise every service directory of a scan directory.

Sources: `spec/supervision.md` 1.1 and `docs/supervision.md`. Before the loop a failure ends it, 100 or 111; inside the
loop nothing does: what can't be done is said and tried again.
"""

from __future__ import annotations

import fcntl
import os

from initfs import files, options, process, say, signals
from initfs.loop import NEVER
from initfs.supervise.scandir import Limits, Scandir
from initfs.supervise.tree import Tree
from initfs.value import value

USAGE = "svscan [-w] [-d notif] [-X consoleholder] [-C services_max] [-L name_max] [-t rescan_ms] scandir"
LONG = {
    "watch": "w",
    "notification-fd": "d",
    "console-holder": "X",
    "services-max": "C",
    "name-max": "L",
    "timeout": "t",
}
CATCH_ALL = "svscan-log"
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


def parse(argv: list[str]) -> Options:
    """The Options of a command line; say.Fatal 100 for a wrong one."""
    given, rest = options.parse(argv[1:], "wd:X:C:L:t:", USAGE, LONG)
    if len(rest) != 1:
        raise say.usage(USAGE)
    found = dict(given)
    runit = argv[0] == "runsvdir"

    def number(letter: str, default: int) -> int:
        return options.number(found[letter], USAGE) if letter in found else default

    return Options(
        scandir=rest[0],
        notification_fd=_opened(number("d", -1)),
        console_fd=_opened(number("X", -1)),
        services_max=min(max(number("C", 1000), 4), 160000),
        name_max=min(max(number("L", 251), 11), 1019),
        rescan=number("t", 14000 if runit else 0) / 1000,
        watch="w" in found,
        runit=runit,
    )


def _opened(fd: int) -> int:
    """A descriptor that an option names must be above 2 and open."""
    if fd == -1:
        return fd
    if fd < 3:
        raise say.Fatal(say.USAGE, f"descriptor {fd} is one of the standard ones")
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError as error:
        raise say.unable(f"use descriptor {fd}", error, say.USAGE) from error
    return fd


class OutOfOrder(Exception):
    """Turning on makes no sense: the same comes again and again."""


class Svscan:
    """The program: a scan directory, its commands and signals, until it is told to end."""

    def __init__(self, given: Options) -> None:
        """Take the scan directory; say.Fatal when it can't be had."""
        self.options = given
        self.mode = ""  # handed to `finish`
        self.commands = COMMANDS
        self._ending = self._aborted = False
        self._pending = ""
        self._fd = _open_scandir(given.scandir)
        self._private = self._take()
        self.tree = Tree(runit=given.runit)
        # Before a directory is watched: that sends signals, whose default is the end.
        self.tree.loop.on_signals(self.signalled, *TRAPPED)
        self.scandir = Scandir(self.tree, self._fd, self._limits())
        self.tree.on_gone = self.scandir.gone
        self.tree.loop.watch(self._control, self._commanded)
        self.serve_events()

    def serve_events(self) -> None:
        """Serve the events in the scan directory. A relative name: a socket's path has at most 107 bytes, unix(7)."""
        os.fchdir(self._private)
        self.tree.journal.listen(self.tree.loop, "events")

    def begin(self) -> None:
        """Announce that commands are heard, and scan."""
        if self.options.notification_fd >= 0:
            files.tried("announce readiness", lambda: os.write(self.options.notification_fd, b"\n"))
            os.close(self.options.notification_fd)
        self.scandir.listing.clean()
        self.scandir.request()

    def run(self) -> None:
        """Turn until the end has come. This is the one place that catches: what goes wrong in a turn is said, and the
        next turn begins; only errors that follow each other within a second end the loop, with OutOfOrder.
        """
        failed = -NEVER
        while True:
            try:
                if not self.turn():
                    return
            except Exception as error:
                say.warning(f"bug: {say.describe(error)}; going on")
                if self.tree.now - failed < HOPELESS:
                    raise OutOfOrder from error
                failed = self.tree.now

    def turn(self) -> bool:
        """One turn of everything; False when the end has come."""
        self.tree.turn(self.due)
        if not self._ending:
            self.scandir.scan_if_due()
        self._act()
        return not (self._aborted or (self._ending and self.scandir.empty))

    @property
    def due(self) -> float:
        """When the scan directory is to be looked at again."""
        return NEVER if self._ending else self.scandir.due

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
        known = "".join(chr(byte) for byte in data if chr(byte) in "zabhitqnN" + "".join(MODES))
        if len(known) < len(data):
            say.warning("unknown command on .svscan/control ignored")
        self._pending += known

    def _act(self) -> None:
        """Do what was commanded. A prune waits for the scan that was asked for with it; an end waits for nothing."""
        letters, self._pending = self._pending, ""
        for letter in letters:
            if letter in "nN" and self.scandir.requested and not self._ending:
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
                self.end(kill_loggers=letter == "q")
            case _:
                self.mode = MODES[letter]

    def end(self, *, kill_loggers: bool = False) -> None:
        """Bring all services down; loggers end by end-of-file, or are told to as well."""
        if not self._ending:
            self._ending = True
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
        return True

    def _take(self) -> int:
        """Make .svscan and its lock and FIFO; return its descriptor."""
        try:
            if ".svscan" not in os.listdir(self._fd):
                os.mkdir(".svscan", 0o700, dir_fd=self._fd)
            fd = os.open(".svscan", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
            self._lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=fd)
        except NotADirectoryError as error:
            raise say.unable("use .svscan", error, say.USAGE) from error
        except OSError as error:
            raise say.unable("make .svscan", error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"unable to supervise {self.options.scandir}: another svscan does"
            raise say.Fatal(say.USAGE, text) from error
        except OSError as error:
            raise say.unable("lock .svscan/lock", error) from error
        try:
            files.make_fifo("control", 0o600, at=fd)
            self._control = files.hold_fifo("control", at=fd)
        except FileExistsError as error:
            raise say.unable("use .svscan/control as a FIFO", error, say.USAGE) from error
        except OSError as error:
            raise say.unable("make .svscan/control", error) from error
        return fd

    def _limits(self) -> Limits:
        given = self.options
        return Limits(
            given.services_max, given.name_max, given.rescan, given.watch, CATCH_ALL, given.console_fd
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


def _open_scandir(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise say.unable(f"open the scan directory {path}", error) from error


def main(argv: list[str]) -> int:
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    program = Svscan(parse(argv))
    program.begin()
    try:
        program.run()
    except OutOfOrder:
        return _crash(program)
    failed = program.finish()
    if failed is not None:
        say.fatal(str(failed))
        return _crash(program)
    return say.OK


def _crash(program: Svscan) -> int:
    """Become .svscan/crash; without one, the exit code says why."""
    say.fatal("unable to go on; becoming .svscan/crash")
    failed = program.become("crash")
    return say.NOT_FOUND if failed is None else failed.code
