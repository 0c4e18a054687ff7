"""A tree in this process, in which one system call, or one allocation, fails once: what fails is told by the caller, that all is well afterwards here.

Or the clock jumps, and nothing fails. Run as a program: `fault_world DIRECTORY calls|memory|clock SEED ROUNDS`. It prints what it did, and exits 0 when each fault was survived.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import time
from pathlib import Path

from initfs import loop, say
from initfs.supervise import automaton, scandir, starting, tree
from initfs.supervise.scanner import Options, Svscan
from initfs.supervise.status import decode
from initfs.supervise.svstat import Seen
from tests.process.service import make_service
from tests.process.waiting import children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What each call at the doors may answer: signal(7) for EINTR, the calls' own pages for the others. That something is not there is no
# failure but an answer, and not in here.
TABLE: dict[str, tuple[int, ...]] = {
    "open": (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EROFS, errno.EIO),
    "read": (errno.EIO, errno.EAGAIN),
    "write": (errno.ENOSPC, errno.EIO, errno.EPIPE, errno.EAGAIN, errno.EDQUOT),
    "rename": (errno.ENOSPC, errno.EROFS, errno.EIO),
    "unlink": (errno.EROFS, errno.EIO, errno.EBUSY),
    "mkdir": (errno.ENOSPC, errno.EROFS, errno.ENOMEM),
    "mkfifo": (errno.ENOSPC, errno.EROFS),
    "link": (errno.EMLINK, errno.EROFS, errno.EPERM),
    "stat": (errno.EACCES, errno.EIO, errno.ENOMEM, errno.ELOOP),
    "listdir": (errno.EIO, errno.ENOMEM, errno.EMFILE),
    "pipe2": (errno.EMFILE, errno.ENFILE),
    "close": (errno.EIO,),
    "fchdir": (errno.EACCES, errno.EIO),
    "kill": (errno.EPERM, errno.ESRCH),
    "posix_spawn": (errno.EAGAIN, errno.ENOMEM, errno.E2BIG, errno.ENOEXEC, errno.ETXTBSY, errno.EACCES, errno.ENOENT, errno.EIO),
    "waitpid": (errno.EINTR, errno.ECHILD),
    "pidfd_open": (errno.EMFILE, errno.ENOMEM),
}  # fmt: skip
EPOLL = (errno.EINTR, errno.ENOMEM)
LOST = 0  # instead of an error: the call is made, and for its answer there is no memory
LIMIT = 10.0  # seconds until all is well again
YEARS = 50 * 366 * 86400 * 10**9  # nanoseconds
LATEST = 4  # which of the calls of an episode may be the one that fails


class Unwell(AssertionError):
    """Something did not come back."""


class World:
    """The tree: a service with a logger, and one without. Pauses are short, so that a thousand faults take seconds."""

    def __init__(self, base: Path) -> None:
        for module, names in ((automaton, ("GOOD", "PAUSE")), (starting, ("RETRY",)), (tree, ("AGAIN", "SELDOM")),
                              (scandir, ("NO_PIPE", "TOO_MANY", "OLD_LOGGER", "NO_START", "COME_BACK", "SETTLE"))):  # fmt: skip
            for name in names:
                setattr(module, name, 0.0 if name == "GOOD" else 0.01)
        from initfs.supervise import listing

        listing.UNREADABLE = listing.NO_ENTRY = 0.01
        self.scan = base / "scan"
        self.log = base / "log"
        make_service(self.scan / "web", "exec sleep 999", notification_fd="", timeout_kill="500\n")
        (self.scan / "web/notification-fd").unlink()
        make_service(self.scan / "web/log", f"exec cat >>{self.log}")
        make_service(self.scan / "plain", "exec sleep 999", finish="exit 0")
        os.makedirs(base, exist_ok=True)
        say.stream = os.open(base / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.svscan = Svscan(Options(str(self.scan)))
        self.svscan.begin()
        self.errors = 0
        self.settle()

    def turn(self) -> None:
        """One turn, as `keep_turning` does it."""
        try:
            self.svscan.go_on(min(self.svscan.due, loop.now() + 0.02))
        except Exception:  # noqa: BLE001
            self.errors += 1

    def well(self) -> bool:
        """Each service is up as exactly one process, which is the one that we, and its status file, think of; and of no other anybody waits for the death."""
        pids = []
        for name in ("web", "web/log", "plain"):
            unit = self.svscan.scandir.find(name.partition("/")[0])
            if name.endswith("log"):
                entry = next(
                    (one for one in self.svscan.scandir._entries.values() if one.name == "web"), None
                )
                unit = entry.logger if entry else None
            if unit is None or unit.service.phase != "up" or not unit.service.wanted:
                return False
            try:
                status = decode((self.scan / name / "supervise/status").read_bytes())
            except (OSError, ValueError):
                return False
            if status.pid != unit.service.pid:
                return False
            pids.append(unit.service.pid)
        return sorted(pids) == sorted(children(os.getpid())) == sorted(self.svscan.tree._owners)

    def settle(self) -> None:
        """Turn until all is well."""
        deadline = time.monotonic() + LIMIT
        while not self.well():
            if time.monotonic() > deadline:
                state = [
                    (entry.name, entry.unit and entry.unit.service)
                    for entry in self.svscan.scandir._entries.values()
                ]
                raise Unwell(
                    f"{state}; children {[(pid, Path(f'/proc/{pid}/stat').read_text().split()[2], Path(f'/proc/{pid}/cmdline').read_bytes()) for pid in children(os.getpid())]}"
                )
            self.turn()

    def episode(self, which: int) -> None:
        """Something that happens to a tree."""
        unit = self.svscan.scandir.find("web")
        if unit is None:
            return
        match which % 4:
            case 0:
                os.kill(unit.service.pid, signal.SIGKILL)
            case 1:
                unit.ask("r")
            case 2:
                (self.scan / "plain").rename(self.scan / ".away")
                (self.scan / ".away").rename(self.scan / "plain")
                self.svscan.scandir.request()
                os.kill(unit.service.pid, signal.SIGKILL)
            case _:
                unit.ask("dux"[: 1 + which % 2] + "u")
        time.sleep(0)

    def through(self, which: int, fail: Callable[[], None], heal: Callable[[], None]) -> None:
        """An episode with a fault in its middle."""
        self.episode(which)
        fail()
        try:
            for _ in range(8):
                self.turn()
        finally:
            heal()
        self.settle()


class Once:
    """Makes one call of the doors fail, the NTH from now on."""

    def __init__(self, owner: Any, name: str, number: int, nth: int) -> None:
        self.owner, self.name, self.number, self.nth = owner, name, number, nth
        self.before = getattr(owner, name)
        self.fired = False

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.nth -= 1
        if self.nth != 0:
            return self.before(*arguments, **named)
        self.fired = True
        if self.name == "close" or self.number == LOST:
            self.before(*arguments, **named)  # an error of close(2) comes after the descriptor is gone
        if self.number == LOST:
            raise MemoryError
        raise OSError(self.number, os.strerror(self.number))

    def install(self) -> None:
        setattr(self.owner, self.name, self)

    def remove(self) -> None:
        setattr(self.owner, self.name, self.before)


def calls(world: World, chance: random.Random, rounds: int) -> str:
    """Each call fails with each error, in several places."""
    faults = [("os", name, number) for name, numbers in TABLE.items() for number in numbers]
    faults += [("epoll", "poll", number) for number in EPOLL]
    faults += [("os", name, LOST) for name in ("waitpid", "posix_spawn")]
    fired = 0
    for _ in range(rounds):
        for where, name, number in faults:
            owner = os if where == "os" else world.svscan.tree.loop
            if where == "epoll":
                fault = Once(Epoll(world.svscan.tree.loop), name, number, 1)
                owner = fault.owner
            else:
                fault = Once(owner, name, number, 1 if number == LOST else chance.randint(1, LATEST))
            try:
                world.through(chance.randrange(8), fault.install, fault.remove)
            except Unwell as error:
                raise Unwell(
                    f"{name} failed with {errno.errorcode.get(number, 'its answer lost')}: {error}"
                ) from None
            fired += fault.fired
    assert fired >= rounds * len(faults) // 4, f"only {fired} faults were met"
    return f"{fired} of {rounds * len(faults)} faults happened, {world.errors} turns ended early"


class Epoll:
    """Stands between a loop and its epoll, whose methods can't be replaced."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._real = owner._epoll
        self.poll = self._real.poll

    def __setattr__(self, name: str, content: Any) -> None:
        object.__setattr__(self, name, content)
        if name == "poll":
            self._owner._epoll = self if isinstance(content, Once) else self._real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def memory(world: World, chance: random.Random, rounds: int) -> str:
    """One allocation after the other can't be had; the interpreter's own hook decides which."""
    import _testcapi  # type: ignore[import-not-found]

    for _ in range(rounds):
        nth, which = chance.randrange(1500), chance.randrange(8)
        world.episode(which)
        _testcapi.set_nomemory(nth, nth + 1)
        try:
            for _ in range(8):
                world.turn()
        except MemoryError:
            pass  # where the test itself stood
        finally:
            _testcapi.remove_mem_hooks()
        try:
            world.settle()
        except Unwell as error:
            raise Unwell(f"allocation {nth} failed: {error}") from None
    assert world.errors, "no allocation failed"
    return f"{rounds} rounds, {world.errors} turns ended early"


def clock(world: World, chance: random.Random, rounds: int) -> str:
    """The clock jumps 50 years, either way or back to what it was, while things happen: what is told of their age stays right."""
    real, began = time.time_ns, time.monotonic()
    jump = 0
    time.time_ns = lambda: real() + jump
    time.time = lambda: time.time_ns() / 10**9
    for _ in range(rounds):
        world.episode(chance.randrange(8))
        before, jump = jump, chance.choice((-YEARS, 0, YEARS))
        world.settle()
        longest = time.monotonic() - began + 1
        for name in ("web", "web/log", "plain"):
            status = decode((world.scan / name / "supervise/status").read_bytes())
            age = Seen(status, True, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000).age
            if age > longest:
                raise Unwell(
                    f"{name} is {age} seconds old, of {longest:.0f}; the clock went from {before} to {jump}"
                )
    assert not world.errors, f"{world.errors} turns ended early"
    return f"{rounds} rounds"


def main() -> int:
    base, what, seed, rounds = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")  # that the services do not have: who reads it waits for its end
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    print(f"seed {seed}", file=out)
    chance = random.Random(int(seed))
    world = World(Path(base))
    os.dup2(null, 2)
    before = len(os.listdir("/proc/self/fd"))
    try:
        print({"calls": calls, "memory": memory, "clock": clock}[what](world, chance, int(rounds)), file=out)
        lost = len(os.listdir("/proc/self/fd")) - before
        assert lost == 0, f"{lost} descriptors more than before"
    except (AssertionError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=out)
        return 1
    finally:
        for pid in children(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        out.flush()
    return 0


if __name__ == "__main__":
    os._exit(main())
