"""Starting ./run and ./finish as a service directory asks for it: descriptors, lock, pid namespace."""

from __future__ import annotations

import errno
import fcntl
import os

from initfs import process, say
from initfs.supervise.model import NEVER
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initfs.supervise.directory import Directory, Start
    from initfs.supervise.protocol import Protocol

    Pairs = list[tuple[int, int]]

RETRY = 60.0  # seconds until a start that the system refused is tried again
RETRY_BUSY = 0.1  # somebody is still writing `run`
WAIT_FOR_LOCK = "initfs.supervise.locked"  # the program that waits where the tree must not


class Refused(Exception):
    """It could not be started, in words; try again in `retry` seconds."""

    def __init__(self, reason: str, retry: float) -> None:
        super().__init__(reason)
        self.retry = retry


@value
class Started:
    """The child, and the end of the pipe on which it announces readiness (-1: it does not)."""

    pid: int
    notification: int = -1


def run(
    directory: Directory, protocol: Protocol, start: Start, stdio: Pairs, environment: Mapping[str, str]
) -> Started:
    """Start ./run; Refused when it can't be."""
    if start.notification_fd and start.notification_fd == start.lock_fd:
        raise Refused("notification-fd and lock-fd are the same", NEVER)
    argv = ["./run", directory.name]
    given: Pairs = []
    copies: list[int] = []
    notification = -1
    try:
        if start.notification_fd:
            notification, theirs = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(notification, False)
            given.append((theirs, start.notification_fd))
        if start.lock_fd:
            argv = _lock(directory.name, protocol, start.lock_fd, given, argv)
        pairs, copies = _apart([*stdio, *given])
        pid = _spawn(argv, pairs, directory.fd, environment, apart=start.new_pid_namespace)
    except OSError as error:
        if notification >= 0:
            os.close(notification)
        retry = RETRY_BUSY if error.errno == errno.ETXTBSY else RETRY
        raise Refused(_why(error, "./run", directory.fd), retry) from error
    finally:
        for ours, _ in given:
            os.close(ours)
        for ours in copies:
            os.close(ours)
    return Started(pid, notification)


def finish(
    directory: Directory, status: int, pid: int, stdio: Pairs, environment: Mapping[str, str], *, runit: bool
) -> int | None:
    """Start ./finish after the run PID ended with the wait STATUS; None when there is none, or it can't be started."""
    signum = status & 0x7F
    code = -1 if runit else 256
    arguments = [str(code if signum else status >> 8), str(signum)]
    arguments += [] if runit else [directory.name, str(pid)]
    try:
        return _spawn(["./finish", *arguments], stdio, directory.fd, environment)
    except OSError as error:
        if error.errno != errno.ENOENT:
            say.warning(f"{directory.name}: {_why(error, './finish', directory.fd)}")
        return None


def _why(error: OSError, path: str, at: int) -> str:
    from initfs.supervise import diagnosis  # only when something fails

    return diagnosis.why(error, path, at)


def _lock(name: str, protocol: Protocol, fd: int, given: Pairs, argv: list[str]) -> list[str]:
    """Give `run` the service lock as descriptor FD. A flock(2) belongs to the open file: taken here, it is held by whoever has the
    descriptor. When a former instance still holds it, a small program waits for it in the child, and then becomes `run`.
    """
    lock = protocol.open_service_lock()
    given.append((lock, fd))
    if os.fstat(lock).st_size:
        say.warning(f"{name}: a former instance wrote into supervise/service-lock; emptied")
        os.ftruncate(lock, 0)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say.warning(f"{name}: supervise/service-lock is held by another process; run will wait for it")
        return [*process.ourselves(WAIT_FOR_LOCK), str(fd), *argv]
    return argv


def _apart(pairs: Pairs) -> tuple[Pairs, list[int]]:
    """The same pairs such that no dup2 destroys what a later one needs, and the copies made for it, to be closed."""
    if not pairs:
        return pairs, []
    targets = {theirs for _, theirs in pairs}
    if not any(ours in targets and ours != theirs for ours, theirs in pairs):
        return pairs, []
    above = max(targets) + 1
    copies = [fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, above) for ours, _ in pairs]
    return [(copy, theirs) for copy, (_, theirs) in zip(copies, pairs, strict=True)], copies


def _spawn(
    argv: list[str], pairs: Pairs, directory: int, environment: Mapping[str, str], *, apart: bool = False
) -> int:
    process.end_unclaimed()
    if not apart:
        return process.spawn(argv[0], argv, environment, descriptors=pairs, directory=directory)
    from initfs import kernel

    with kernel.new_pid_namespace():
        return process.spawn(argv[0], argv, environment, descriptors=pairs, directory=directory)
