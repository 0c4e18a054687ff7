"""One supervised service: feeds events to the automaton and obeys its effects. No decision is taken here."""

from __future__ import annotations

import errno
import os
import time

from initfs import files, process, say, tai
from initfs.supervise import control, diagnosis
from initfs.supervise.automaton import step
from initfs.supervise.directory import Directory
from initfs.supervise.model import (
    NEVER,
    Asked,
    Died,
    Expired,
    Finish,
    Kill,
    MarkDown,
    NotSpawned,
    Phase,
    Policy,
    Publish,
    Readied,
    Run,
    Service,
    Spawned,
    Tally,
)
from initfs.supervise.protocol import Protocol
from initfs.supervise.status import DOWN, FINISH, RUN, Status
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.model import Effect, Event
    from initfs.supervise.pipes import Stdio
    from initfs.supervise.tree import Tree

RETRY = 60.0  # seconds until a start that the system refused is tried again
RETRY_BUSY = 0.1  # somebody is still writing `run`
NEWS = (Died, Asked, Expired)  # the events for which the policy matters
STATES = {Phase.DOWN: DOWN, Phase.GONE: DOWN, Phase.UP: RUN, Phase.FINISH: FINISH}


def boot_time() -> int:
    """CLOCK_BOOTTIME in microseconds: what /proc/PID/stat counts a start from."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Unit:
    """A service of a tree. `service` is its value; what else is here are descriptors and stamps."""

    def __init__(self, tree: Tree, name: str, fd: int, stdio: Stdio) -> None:
        """Supervise the service directory FD. Busy when somebody else does, OSError when it cannot be used."""
        self.name = name
        self.stdio = stdio
        self.directory = Directory(fd, name)
        self.protocol = Protocol(fd)
        self.service = Service(wanted=not self.directory.has("down"))
        self._tree = tree
        self._policy = Policy()
        self._notification = -1
        self._changed = time.time_ns()
        self._since = boot_time()
        self._readied = 0

    def begin(self) -> None:
        """Start it for the first time, if it is to be up. Its FIFOs come later: see `furnish`."""
        self._publish(Publish("supervised", "s"))
        self.service = replace(self.service, deadline=0.0 if self.service.wanted else NEVER)
        if self.service.wanted:
            self.feed(Expired(), self._tree.now)

    def furnish(self) -> None:
        """Make and open what clients speak to. The start did not wait for it: nobody can ask before it is there."""
        self.protocol.open()
        self._tree.loop.watch(self.protocol.control, self._commanded)
        self._tree.changed(self)

    def feed(self, event: Event, now: float) -> None:
        """Hand an event to the automaton and do what it says; the answers to its effects follow at once."""
        events = [event]
        while events:
            event = events.pop(0)
            if isinstance(event, NEWS):
                self._policy = self.directory.policy()
            self.service, effects = step(self.service, event, now, self._policy)
            for effect in effects:
                answer = self._obey(effect)
                if answer is not None:
                    events.append(answer)
        self._tree.settled(self)

    def rename(self, name: str) -> None:
        """Its entry has another name now; the next start is told that one."""
        self.name = self.directory.name = name

    def died(self, status: int) -> None:
        """The process that the tree reaped for us is dead."""
        if self._notification >= 0 and self.service.phase == Phase.UP:
            self._heard()  # a newline may still be in the pipe, and the death may be reported first
        self._close_notification()
        self.feed(Died(status), self._tree.now)

    def ask(self, letters: str) -> None:
        """Act on command letters, in order."""
        for letter in letters:
            self.feed(Asked(letter), self._tree.now)

    def write(self) -> None:
        """Write the status files as things stand now."""
        s = self.service
        self.protocol.write(
            Status(
                state=STATES[s.phase],
                pid=s.pid,
                wanted=s.wanted,
                ready=s.ready,
                paused=s.paused,
                termed=s.termed,
                ran=s.ran,
                wait_status=s.status,
                changed=self._changed,
                since=self._since,
                readied=self._readied,
            )
        )

    def close(self) -> None:
        """Let go of all descriptors; the lock goes with them."""
        self._close_notification()
        self._tree.loop.forget(self.protocol.control)
        self.protocol.close()
        os.close(self.directory.fd)

    def _obey(self, effect: Effect) -> Event | None:
        match effect:
            case Run():
                return self._run()
            case Finish(status, pid, quiet):
                return self._finish(status, pid, quiet=quiet)
            case Kill(pid, signum):
                process.kill(pid, signum)
            case Tally(status):
                self._tally(status)
            case MarkDown(down):
                self.directory.mark_down(down)
            case Publish():
                self._publish(effect)
        return None

    def _tally(self, status: int) -> None:
        stamp = tai.pack(time.time_ns())
        keep = self.directory.tally()
        try:
            self.protocol.record_death(stamp, status, keep)
        except FileNotFoundError:
            return  # the directory was removed while the service ran
        except OSError as error:
            say.warning(f"{self.name}: unable to record its death: {say.reason(error)}")

    def _publish(self, news: Publish) -> None:
        if news.event in ("up", "down"):
            self._changed, self._since, self._readied = time.time_ns(), boot_time(), 0
        elif news.event == "ready":
            self._readied = boot_time()
        if news.event:
            self._tree.journal.publish(self.name, news.event, self.service.pid, news.reason)
        if news.event == "failed":
            say.warning(f"{self.name}: {news.reason}")
        self.protocol.tell(news.letters)
        self._tree.changed(self)

    def _run(self) -> Event:
        """Start ./run."""
        start = self.directory.start()
        if start.notification_fd and start.notification_fd == start.lock_fd:
            return NotSpawned("notification-fd and lock-fd are the same", NEVER)
        given: list[tuple[int, int]] = []
        try:
            descriptors = self.stdio.descriptors()
            if start.notification_fd:
                self._notification, theirs = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(self._notification, False)
                given.append((theirs, start.notification_fd))
            pid = self._spawn("./run", [self.name], descriptors + given)
        except OSError as error:
            self._close_notification()
            return self._refused(error)
        finally:
            for ours, _ in given:
                os.close(ours)
        if self._notification >= 0:
            self._tree.loop.watch(self._notification, self._heard)
        return Spawned(pid)

    def _refused(self, error: OSError) -> NotSpawned:
        retry = RETRY_BUSY if error.errno == errno.ETXTBSY else RETRY
        return NotSpawned(diagnosis.why(error, "./run", self.directory.fd), retry)

    def _finish(self, status: int, pid: int, *, quiet: bool) -> Event:
        signum = status & 0x7F
        code = 256 if signum else status >> 8
        descriptors = self._tree.null_stdio() if quiet else self.stdio.descriptors()
        try:
            return Spawned(
                self._spawn("./finish", [str(code), str(signum), self.name, str(pid)], descriptors)
            )
        except OSError as error:
            if error.errno != errno.ENOENT:
                say.warning(f"{self.name}: {diagnosis.why(error, './finish', self.directory.fd)}")
            return NotSpawned("", NEVER)

    def _spawn(self, path: str, arguments: list[str], descriptors: list[tuple[int, int]]) -> int:
        environment = self._tree.environment
        pid = process.spawn(
            path, [path, *arguments], environment, descriptors=descriptors, directory=self.directory.fd
        )
        self._tree.own(pid, self)
        return pid

    def _heard(self) -> None:
        """Something came through the notification pipe: a newline is readiness, an end without one is silence."""
        try:
            data = os.read(self._notification, 4096)
        except BlockingIOError:
            return
        if b"\n" in data or not data:
            self._close_notification()
        if b"\n" in data:
            self.feed(Readied(), self._tree.now)

    def _close_notification(self) -> None:
        if self._notification >= 0:
            self._tree.loop.forget(self._notification)
            os.close(self._notification)
            self._notification = -1

    def _commanded(self) -> None:
        """One read a turn: a flooded FIFO must not starve the others."""
        data = os.read(self.protocol.control, files.KNOB_SIZE)
        self.ask(control.letters(data, runit=self._tree.runit))
