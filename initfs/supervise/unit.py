"""One supervised service: feeds events to the automaton and obeys its effects. No decision is taken here."""

from __future__ import annotations

import os
import time

from initfs import files, process, say
from initfs.supervise import control, starting
from initfs.supervise.automaton import step
from initfs.supervise.directory import DEFAULT, Directory
from initfs.supervise.model import (
    NEVER,
    Adopted,
    Asked,
    Died,
    Expired,
    Finish,
    Kill,
    MarkDown,
    NotSpawned,
    Phase,
    Publish,
    Readied,
    Run,
    Service,
    Spawned,
    Tally,
)
from initfs.supervise.protocol import Protocol
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.custom import Custom
    from initfs.supervise.model import Effect, Event
    from initfs.supervise.pipes import Stdio
    from initfs.supervise.status import Status
    from initfs.supervise.tree import Owner, Tree

COMMANDS_AT_ONCE = 64
SUPERVISED = Publish("supervised", "s")
NEWS = (Died, Asked)  # with what happens to a living process, all for which the policy matters
WANTED, UNWANTED = Service(), Service(wanted=False)


def boot_time() -> int:
    """CLOCK_BOOTTIME in microseconds: what /proc/PID/stat counts a start from."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Unit:
    """A service of a tree. `service` is its value; what else is here are descriptors and stamps."""

    __slots__ = (
        "_changed",
        "_custom",
        "_deaths",
        "_notification",
        "_pidfd",
        "_policy",
        "_readied",
        "_since",
        "_spawning",
        "_tree",
        "closed",
        "directory",
        "name",
        "protocol",
        "service",
        "stdio",
    )

    def __init__(self, tree: Tree, name: str, fd: int, stdio: Stdio) -> None:
        """Supervise the service directory FD. Busy when somebody else does, OSError when it cannot be used."""
        self.name = name
        self.stdio = stdio
        self.directory = Directory(fd, name, tree.turns)
        self.protocol = Protocol(fd)
        self.service = WANTED if "down" not in self.directory.names() else UNWANTED
        self._tree = tree
        self._policy = DEFAULT
        self._notification = self._pidfd = -1
        self._custom: Custom | None = None
        self.closed = False
        self._deaths: tuple[tuple[int, int], ...] = ()
        self._changed = time.time_ns()
        self._since = self._spawning = boot_time()
        self._readied = 0

    def begin(self) -> None:
        """Hear commands; its first start is due at once, if it is to be up. OSError when its FIFOs can't be made."""
        self.protocol.open()
        self._tree.loop.watch(self.protocol.control, self._commanded)
        self._publish(SUPERVISED)
        former = self.protocol.read_former()
        if former is not None and former.pid:
            from initfs.supervise import adoption

            if adoption.lives(former):
                self._adopt(former)
                return
        if self.service.wanted:
            self.service = replace(self.service, deadline=0.0)
            self._tree.settled(self)

    def _adopt(self, former: Status) -> None:
        """Go on with what a killed supervisor left running. We are not its parent: a pidfd tells of its death, not how."""
        from initfs.supervise import adoption
        from initfs.supervise.status import FINISH, RUN

        self._pidfd = os.pidfd_open(former.pid)
        self._tree.loop.watch(self._pidfd, lambda: self._adopted_died(former.pid))
        if former.state == RUN and not former.ready:
            number = self.directory.start().notification_fd
            self._listen(adoption.notification_end(former, number) if number else -1)
        self.stdio.take(self.directory.start().keep_fd, self._pidfd)
        self.service = replace(
            self.service, wanted=former.wanted, status=former.wait_status, group=former.group
        )
        started = self._tree.now - (boot_time() - former.since) / 1_000_000
        self.feed(Adopted(former.pid, former.ready, started, former.state == FINISH))
        self._changed, self._since, self._readied = former.changed, former.since, former.readied

    def _adopted_died(self, pid: int) -> None:
        """Its pidfd says so. Of our own child, as process 1 has after it executed itself anew, the kernel tells how as well."""
        self._tree.disown(pid)
        self.died(process.status_of(pid))

    @property
    def environment(self) -> dict[str, str]:
        """What its processes get."""
        return self._tree.environment

    def own(self, pid: int, owner: Owner) -> None:
        """Have OWNER told of the death of PID."""
        self._tree.own(pid, owner)

    def feed(self, event: Event) -> None:
        """Hand an event to the automaton and do what it says; the answers to its effects follow at once."""
        if self.closed:
            return
        events = [event]
        while events:
            event = events.pop(0)
            if self.service.pid or isinstance(event, NEWS):
                self._policy = self.directory.policy()
            self.service, effects = step(self.service, event, self._tree.now, self._policy)
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
        self._close_pidfd()
        self.feed(Died(status))
        if self.service.deadline <= self._tree.now:
            self.feed(Expired())
        self._record_deaths()

    def ask(self, letters: str) -> None:
        """Act on command letters, in order, each after its script in control/, if there is one."""
        logger = self.stdio.stdin is not None  # runsv has no scripts for loggers
        if self._custom is None and not logger and self.directory.has_control():
            from initfs.supervise.custom import Custom

            self._custom = Custom(self)
        if self._custom is not None:
            self._custom.ask(letters)
        else:
            for letter in letters:
                self.feed(Asked(letter))

    def write(self) -> None:
        """Write the files as things stand now."""
        self.protocol.write(self._status(), self.service.failure, self.name)

    def _status(self) -> Status:
        from initfs.supervise.status import DOWN, FINISH, RUN, Status  # see protocol.py

        s = self.service
        return Status(
            RUN if s.phase == Phase.UP else FINISH if s.phase == Phase.FINISH else DOWN,
            s.pid,
            s.wanted,
            s.ready,
            s.paused,
            s.termed,
            s.ran,
            s.status,
            self._changed,
            self._since,
            self._readied,
            s.group,
        )

    def close(self) -> None:
        """Let go of all descriptors; the lock goes with them."""
        self.closed = True
        self._close_notification()
        self._close_pidfd()
        if self.protocol.control >= 0:
            self._tree.loop.forget(self.protocol.control)
        self.protocol.close()
        self.stdio.release()
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
                self._deaths += ((time.time_ns(), status),)
            case MarkDown(down):
                self.directory.mark_down(down)
            case Publish():
                self._publish(effect)
        return None

    def _record_deaths(self) -> None:
        """Write down deaths, after the restart that they led to."""
        from initfs import tai

        deaths, self._deaths = self._deaths, ()
        for when, status in deaths:
            try:
                stamp = tai.pack(when, tai.LEAP)  # only s6's tools read it
                self.protocol.record_death(stamp, status, self.directory.tally())
            except FileNotFoundError:
                return  # the directory was removed while the service ran
            except OSError as error:
                say.warning(f"{self.name}: unable to record its death: {say.reason(error)}")

    def _publish(self, news: Publish) -> None:
        if news.event == "up":
            self._changed, self._since, self._readied = time.time_ns(), self._spawning, 0
        elif news.event == "down":
            self._changed, self._since, self._readied = time.time_ns(), boot_time(), 0
        elif news.event == "ready":
            self._readied = boot_time()
        self._tree.changed(self)
        self.protocol.tell(news.letters)
        if news.event:
            self._tree.journal.publish(self.name, news.event, self.service.pid, news.reason)
        if news.event == "failed":
            self._say(news.reason)

    def _say(self, reason: str) -> None:
        """Say why it failed where people look: in its own log, or in the tree's when it has none."""
        line = f"{say.program}: warning: {self.name}: {reason}\n".encode(errors="replace")
        if self.stdio.stdout is None or not self.stdio.stdout.say(line):
            say.warning(f"{self.name}: {reason}")

    def _run(self) -> Event:
        """Start ./run."""
        start = self.directory.start()
        self._spawning = boot_time()
        try:
            stdio = self.stdio.descriptors(start.keep_fd)
            started = starting.run(self.directory, self.protocol, start, stdio, self.environment)
        except starting.Refused as refused:
            return NotSpawned(str(refused), refused.retry)
        self.own(started.pid, self)
        self._listen(started.notification)
        return Spawned(started.pid)

    def _finish(self, status: int, pid: int, *, quiet: bool) -> Event:
        stdio = self._tree.null_stdio() if quiet else self.stdio.descriptors()
        runit = self._tree.runit
        child = starting.finish(self.directory, status, pid, stdio, self.environment, runit=runit)
        if child is None:
            return NotSpawned("", NEVER)
        self.own(child, self)
        return Spawned(child)

    def _listen(self, notification: int) -> None:
        """Wait for the newline on the reading end of the notification pipe, if there is one."""
        if notification >= 0:
            self._notification = notification
            self._tree.loop.watch(notification, self._heard)

    def _heard(self) -> None:
        """Something came through the notification pipe: a newline is readiness, an end without one is silence."""
        data = files.take(self._notification)
        if data is None:
            return
        if b"\n" in data or not data:
            self._close_notification()
        if b"\n" in data:
            self.feed(Readied())

    def _close_notification(self) -> None:
        if self._notification >= 0:
            self._tree.loop.forget(self._notification)
            os.close(self._notification)
            self._notification = -1

    def _close_pidfd(self) -> None:
        if self._pidfd >= 0:
            self._tree.loop.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def hear_commands(self, hear: bool) -> None:
        """While a script in control/ runs, letters wait in the FIFO, which has an end, and not in here."""
        if self.closed:
            return
        if hear:
            self._tree.loop.watch(self.protocol.control, self._commanded)
        else:
            self._tree.loop.forget(self.protocol.control)

    def _commanded(self) -> None:
        """A few letters a turn: a flooded FIFO must not starve the others."""
        data = files.take(self.protocol.control, COMMANDS_AT_ONCE) or b""
        self.ask(control.letters(data, runit=self._tree.runit))
