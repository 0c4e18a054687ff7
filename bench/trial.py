"""One supervisor with N services, once: started, looked at, disturbed, ended."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from bench.suites import Suite

MEMORY = Path("/dev/shm")  # a tmpfs on every Linux: disks are not what is measured
LIMIT = 60.0  # seconds until all must have begun; more is a failure
QUIET = 0.3  # seconds without a context switch: it has done all that it had to do
QUIET_LIMIT = 5.0  # some are never quiet
DOWN_LIMIT = 20.0  # seconds until all must be down; after that they are killed
OLD = 1.2  # seconds after which no supervisor lets a service wait before its restart
APART = 0.01  # seconds between a restart and the next kill
FILES = ("status", "control", "ok")  # of supervise/: with them anybody can ask and command; s6 has no `ok`


@contextmanager
def place() -> Iterator[Path]:
    """Give a folder in memory, and remove it."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="initfs-bench.", dir=MEMORY if usable else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def services(folder: Path, count: int, daemon: Path) -> Path:
    """Make a scan directory of COUNT services that become DAEMON, and return it."""
    scan = folder / "scan"
    scan.mkdir()
    for number in range(count):
        service = scan / f"s{number:04}"
        service.mkdir()
        (service / "run").symlink_to(daemon)
    os.utime(scan, (0, 0))  # runsvdir waits until a directory that has just changed is a second old
    return scan


def many_descriptors() -> None:
    """Raise the soft limit: one descriptor for each process that is waited for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spread(pids: list[int], wanted: int) -> list[int]:
    """Return so many of the processes, from all over the list."""
    step = max(1, len(pids) // max(1, wanted))
    return pids[::step][:wanted]


class Trial:
    """A running supervisor and its services; times are milliseconds since the moment before its start."""

    def __init__(self, suite: Suite, count: int, folder: Path, daemon: Path) -> None:
        """Start it, and wait until all daemons have begun."""
        many_descriptors()
        self.suite, self.count, self.folder = suite, count, folder
        self.scan = services(folder, count, daemon)
        self._arrivals = measure.Arrivals(folder / "fifo")
        self.daemons: list[int] = []
        command = suite.command(self.scan, count)
        self._clock, self._began = time.time_ns(), time.monotonic_ns()
        self.root = start(command, self.environment(), folder / "said")
        try:
            found = self._arrivals.wait(count, LIMIT)
        except Failure as failure:
            self.kill()
            raise Failure(f"measure {suite.name}", failure.reason, self.said()) from None
        except BaseException:
            self.kill()
            raise
        self.daemons = [arrival.pid for arrival in found]
        self.first = self._since(min(arrival.when for arrival in found))
        self._newest = max(arrival.when for arrival in found)
        self.all = self._since(self._newest)

    def environment(self) -> dict[str, str]:
        """Return what the supervisor, and so the daemon, gets."""
        path = os.environ.get("PATH", os.defpath)
        path = f"{self.suite.programs}:{path}" if self.suite.programs else path
        return {"PATH": path, "BENCH_FIFO": str(self._arrivals.path)}

    def __enter__(self) -> Self:
        """Begin to measure."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind."""
        self.kill()

    def _since(self, when: int) -> float:
        return (when - self._began) / 1e6

    def said(self) -> str:
        """Return the last line that the supervisor said."""
        lines = (self.folder / "said").read_text(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def supervisors(self) -> list[int]:
        """Return the processes that are there to supervise, the first one first."""
        below = measure.descendants(measure.parents(), self.root) - set(self.daemons) - {self.root}
        return [self.root, *sorted(below)]

    def settle(self) -> None:
        """Wait until the supervisors have nothing left to do."""
        deadline = time.monotonic() + QUIET_LIMIT
        pids = self.supervisors()
        before, now = -1, measure.switches(pids)
        while now != before and time.monotonic() < deadline:
            time.sleep(QUIET)
            before, now = now, measure.switches(pids)

    def commandable(self) -> float | None:
        """Return when the last service could be asked and commanded; None for who has no such files.

        It is the time of the newest of those files, of the kernel's coarse clock: up to 4 ms early.
        """
        newest = 0
        for service in self.scan.glob("s*"):
            present = [path for name in FILES if (path := service / "supervise" / name).exists()]
            if len(present) < 2:
                return None
            newest = max(newest, *(path.lstat().st_ctime_ns for path in present))
        return (newest - self._clock) / 1e6

    def grow_old(self) -> None:
        """Wait until every daemon has been up for longer than any supervisor's second of patience."""
        time.sleep(max(0.0, OLD - (time.monotonic_ns() - self._newest) / 1e9))

    def idle(self, seconds: float) -> int:
        """Return the context switches of the supervisors while nothing happens."""
        pids = self.supervisors()
        before = measure.switches(pids)
        time.sleep(seconds)
        return measure.switches(pids) - before

    def restarts(self, wanted: int, budget: float) -> list[float]:
        """Kill daemons that have been up for long, one after another; return the times until their successors began.

        Not after BUDGET seconds: some wait a second before each.
        """
        self.grow_old()
        found: list[float] = []
        deadline = time.monotonic() + budget
        for victim in spread(self.daemons, wanted):
            if time.monotonic() >= deadline:
                break
            killed = time.monotonic_ns()
            os.kill(victim, signal.SIGKILL)
            new = self._arrivals.wait(1, LIMIT)[0]
            self._newest = new.when
            found.append((new.when - killed) / 1e6)
            self.daemons[self.daemons.index(victim)] = new.pid
            time.sleep(APART)
        return found

    def down(self) -> float | None:
        """End it; return the time until no process of it is left, None when that does not come in time."""
        if self.suite.stop is None:
            return None
        self.grow_old()
        with watched([*self.supervisors(), *self.daemons]) as processes:
            began = time.monotonic()
            signal.pidfd_send_signal(processes[0], self.suite.stop)
            ended = gone(processes, began + DOWN_LIMIT)
            return (time.monotonic() - began) * 1e3 if ended else None

    def kill(self) -> None:
        """Kill what is left of it, supervisors first: no daemon is to be started again."""
        with watched([*(self.supervisors() if self.root else []), *self.daemons]) as processes:
            for process in processes:
                try:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            gone(processes, time.monotonic() + DOWN_LIMIT)
        if self.root:
            os.waitpid(self.root, 0)
            self.root = 0
            self._arrivals.__exit__()


def start(command: list[str], environment: dict[str, str], said: Path) -> int:
    """Start a program in a session of its own, its words into a file; return its pid."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)


@contextmanager
def watched(pids: Iterable[int]) -> Iterator[list[int]]:
    """Give a descriptor for each of the processes that still is: it names no other one later."""
    found = []
    for pid in pids:
        try:
            found.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    try:
        yield found
    finally:
        for fd in found:
            os.close(fd)


def gone(processes: Iterable[int], deadline: float) -> bool:
    """Wait until all have ended, one after the other: one wake-up of ours for many ends of theirs."""
    for process in processes:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1e3):
            return False
    return True
