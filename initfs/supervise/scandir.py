"""The scan directory and the units it asks for: each service, and the logger in its `log/` with the held pipe between."""

from __future__ import annotations

import os

from initfs import process, say
from initfs.loop import NEVER, now
from initfs.supervise import scan
from initfs.supervise.listing import Listing
from initfs.supervise.model import Phase, Returned, Vanished
from initfs.supervise.pipes import Pipe, Stdio
from initfs.supervise.protocol import Busy, read_former
from initfs.supervise.unit import Unit
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.scan import Found, Identity, Operation
    from initfs.supervise.sharing import Sharing
    from initfs.supervise.tree import Tree

# Seconds until what failed is tried again (`spec/supervision.md` 1.1).
NO_PIPE, TOO_MANY, OLD_LOGGER, NO_START = 3.0, 60.0, 10.0, 10.0
DESCRIPTORS, RESERVED = 8, 64  # of a service with its half of a logger, and of everything else
COME_BACK = 1.0  # seconds until what was told to exit, but is still there, is supervised again
SETTLE = 0.02  # a burst of announced changes is one scan


@value
class Limits:
    """What a scan may do."""

    services_max: int
    name_max: int
    rescan: float  # seconds, 0: only on request
    watch: bool
    catch_all: str  # the service whose standard error is the console
    console_fd: int
    shared: str = ""  # the service that logs for those that have a plain file `log`
    private: int = -1  # where it finds us


class Entry:
    """A service of the scan directory, and its logger."""

    __slots__ = ("identity", "log", "logger", "name", "pipe", "present", "queued", "script", "unit")

    def __init__(self, identity: Identity, name: str) -> None:
        self.identity = identity
        self.name = name
        self.present = True
        self.queued = False  # its start is under way
        self.unit: Unit | None = None
        self.logger: Unit | None = None
        self.log: Identity | None = None  # of the directory of the logger that runs
        self.pipe: Pipe | None = None
        self.script = b""  # for the shared logger


class Scandir:
    """Keeps the units in step with the entries of a directory."""

    def __init__(self, tree: Tree, fd: int, limits: Limits) -> None:
        self._tree = tree
        self._fd = fd
        self._limits = limits
        self._entries: dict[Identity, Entry] = {}
        self._owners: dict[Unit, Entry] = {}
        self._refused: list[str] = []
        self._ending = False
        self.scanned = False  # the first scan is done, all that it found is started
        self.due = NEVER
        self.requested = False
        self._sharing: Sharing | None = None
        self.listing = Listing(fd, limits.name_max, self._retry, watched=limits.watch)

    @property
    def empty(self) -> bool:
        """Nothing is supervised any more."""
        return not self._entries

    def only(self, name: str) -> bool:
        """Nothing is supervised any more but this one."""
        return len(self._entries) == 1 and self.find(name) is not None

    def find(self, name: str) -> Unit | None:
        """The unit of the entry NAME."""
        return next((entry.unit for entry in self._entries.values() if entry.name == name), None)

    def request(self, *, soon: bool = False) -> None:
        """Have the directory scanned in this turn, or soon: more may be coming."""
        self.requested = True
        self.due = min(self.due, now() + SETTLE if soon else 0.0)

    def scan_if_due(self) -> None:
        """Scan when it is time to. Starts that are still queued come first."""
        if now() < self.due or self._tree.starting:
            return
        self.due = now() + self._limits.rescan if self._limits.rescan else NEVER
        known = {
            entry.name: (entry.identity, scan.Found(entry.name, entry.log))
            for entry in self._entries.values()
        }
        found = self.listing.look(known)
        if found is not None:
            self.requested = False
            self._follow(self.listing.with_run(scan.shared(found, self._limits.shared), self._entries))

    def _retry(self, seconds: float, text: str) -> None:
        say.warning(f"{text}; trying again in {seconds:g} seconds")
        self.due = min(self.due, now() + seconds)

    def _follow(self, found: dict[Identity, Found]) -> None:
        known = {
            identity: scan.Known(entry.name, entry.present, entry.logger is not None)
            for identity, entry in self._entries.items()
        }
        wanted = sum(1 + (seen.log is not None) for seen in found.values())
        room = process.raise_descriptor_limit(RESERVED + DESCRIPTORS * wanted) - RESERVED
        self._refused = refused = []
        for operation in scan.plan(known, found, min(self._limits.services_max, room // DESCRIPTORS)):
            if isinstance(operation, scan.Refuse):
                refused.append(operation.name)
            else:
                self._apply(operation)
        if refused:
            self._retry(TOO_MANY, f"too many services: {len(refused)} not supervised, {refused[0]} the first")
        for identity, seen in found.items():
            entry = self._entries.get(identity)
            if entry is None:
                continue  # refused
            if entry.unit is None:
                self._queue(entry, seen)
            else:
                self._follow_log(entry, seen.log)
                self._share(entry, seen.script)
        # A turn later: what is begun starts after its batch.
        self._tree.queue(lambda: self._tree.queue(self._scanned))

    def _scanned(self) -> None:
        if not self.scanned:
            self.scanned = True
            self._tree.journal.publish("", "tree")

    def _apply(self, operation: Operation) -> None:
        match operation:
            case scan.Add(identity, name):
                self._entries[identity] = Entry(identity, name)
            case scan.Rename(identity, name):
                self._rename(self._entries[identity], name)
            case scan.Drop(identity):
                entry = self._entries[identity]
                entry.present = False
                if entry.unit is None:
                    self._let_end(entry)
                else:
                    entry.unit.feed(Vanished())
            case scan.Restore(identity):
                entry = self._entries[identity]
                entry.present = True
                if entry.unit is not None:
                    entry.unit.feed(Returned())

    def _rename(self, entry: Entry, name: str) -> None:
        entry.name = name
        if entry.unit is not None:
            entry.unit.rename(name)
        if entry.logger is not None:
            entry.logger.rename(f"{name}/log")

    def _start(self, entry: Entry, seen: Found) -> None:
        """Supervise an entry, its logger first, so that the pipe has a reader. What fails is tried again by a later scan."""
        entry.queued = False
        if self._entries.get(entry.identity) is not entry:
            return  # it went while it waited
        try:
            if (seen.log is not None or seen.script) and entry.pipe is None:
                entry.pipe = Pipe(self._left_pipe(entry.name))
            if entry.logger is None:
                self._start_log(entry, seen.log)
            self._share(entry, seen.script)
            stderr = self._limits.console_fd if entry.name == self._limits.catch_all else -1
            entry.unit = self._supervise(entry, entry.name, Stdio(stdout=entry.pipe, stderr=stderr))
        except (OSError, Busy) as error:
            why = say.reason(error) if isinstance(error, OSError) else "another supervisor does"
            self._retry(NO_START, f"unable to supervise {entry.name}: {why}")

    def _queue(self, entry: Entry, seen: Found) -> None:
        if not entry.queued:
            entry.queued = True
            self._tree.queue(lambda: self._start(entry, seen))

    def _supervise(self, entry: Entry, name: str, stdio: Stdio) -> Unit:
        fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            unit = Unit(self._tree, name, fd, stdio)
        except BaseException:
            os.close(fd)
            raise
        self._tree.adopt(unit)
        self._owners[unit] = entry
        return unit

    # Loggers --------------------------------------------------------------------------------------

    def _follow_log(self, entry: Entry, identity: Identity | None) -> None:
        """A log directory that came, went, returned, or is another one now."""
        if identity == entry.log:
            if entry.logger is not None and entry.logger.service.vanished:
                entry.logger.feed(Returned())
            return
        if entry.logger is not None:
            entry.logger.feed(Vanished())
        if entry.logger is None or entry.logger.service.phase == Phase.GONE:
            self._try_log(entry, identity)
        elif identity is not None:
            self._retry(OLD_LOGGER, f"{entry.name}/log: the former logger still runs")

    def _try_log(self, entry: Entry, identity: Identity | None) -> None:
        try:
            self._start_log(entry, identity)
        except (OSError, Busy) as error:
            why = say.reason(error) if isinstance(error, OSError) else "another supervisor does"
            self._retry(NO_PIPE, f"unable to supervise {entry.name}/log: {why}")
            return
        if entry.unit is not None:
            entry.unit.stdio.stdout = entry.pipe

    def _start_log(self, entry: Entry, identity: Identity | None) -> None:
        if identity is None:
            entry.log = None
            return
        if entry.pipe is None:
            entry.pipe = Pipe()
        entry.logger = self._supervise(entry, f"{entry.name}/log", Stdio(stdin=entry.pipe))
        entry.log = identity

    def _share(self, entry: Entry, script: bytes) -> None:
        """Have a service logged by the shared logger, if it has a script for that, or another one than before."""
        if script == entry.script or not script:
            return
        if entry.pipe is None:
            entry.pipe = Pipe()
            if entry.unit is not None:  # the running one keeps what it has
                entry.unit.stdio.stdout = entry.pipe
        entry.script = script
        if self._sharing is None:
            from initfs.supervise.sharing import Sharing

            self._sharing = Sharing(self._tree.loop, self._limits.private)
        self._sharing.add(entry.name, script, entry.pipe.reading)

    def _left_pipe(self, name: str) -> tuple[int, int] | None:
        """The pipe that a killed svscan held between a service and its logger, if either of them lives."""
        logger = read_former(f"{name}/log/supervise/status", self._fd)
        service = read_former(f"{name}/supervise/status", self._fd)
        if logger is None and service is None:
            return None
        from initfs.supervise import adoption

        return adoption.pipe_ends(service, logger)

    # Ends -----------------------------------------------------------------------------------------

    def gone(self, unit: Unit) -> None:
        """A unit has ended. While its entry is there it comes back; else its logger ends too, and all is forgotten."""
        entry = self._owners.pop(unit, None)
        if entry is None:
            return
        if entry.logger is unit:
            entry.logger, entry.log = None, None
        else:
            entry.unit = None
        if entry.present and not self._ending:
            self.due = min(self.due, now() + COME_BACK)
        elif entry.unit is None:
            self._let_end(entry)

    def _let_end(self, entry: Entry) -> None:
        """The service is down for good: its logger reads what is left, and then there is nothing."""
        if entry.logger is None:
            self._forget(entry)
        else:
            self._dismiss_logger(entry, kill=False)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.identity]
        if self._refused and not self._ending:
            self.due = min(self.due, now() + SETTLE)  # there is room now
        if self._sharing is not None:
            self._sharing.remove(entry.name)
        if entry.pipe is not None:
            entry.pipe.close()

    def prune(self, *, kill_loggers: bool) -> None:
        """End the services whose entries are gone."""
        for entry in list(self._entries.values()):
            if not entry.present:
                self._dismiss(entry, kill_loggers)

    def dismiss_all(self, *, kill_loggers: bool) -> None:
        """End everything, and start nothing more."""
        self._ending = True
        self._tree.forget_starts()
        if self._sharing is not None:
            self._sharing.end()
        for entry in list(self._entries.values()):
            if entry.unit is None and entry.logger is None:
                self._forget(entry)
            else:
                self._dismiss(entry, kill_loggers)

    def has_catch_all(self) -> bool:
        return any(entry.name == self._limits.catch_all for entry in self._entries.values())

    def _dismiss(self, entry: Entry, kill_loggers: bool) -> None:
        if entry.name in (self._limits.catch_all, self._limits.shared) and entry.unit is not None:
            entry.unit.ask("xd" if kill_loggers else "ox")
        elif entry.unit is not None:
            entry.unit.ask("xd")
        self._dismiss_logger(entry, kill=kill_loggers)

    def _dismiss_logger(self, entry: Entry, *, kill: bool) -> None:
        """Let the logger end by end-of-file, once nobody holds the writing end; a wanted one that is down drains first."""
        if entry.pipe is not None:
            entry.pipe.close_writing()
        logger = entry.logger
        if logger is not None:
            logger.ask("xd" if kill else "ox" if logger.service.wanted else "x")
