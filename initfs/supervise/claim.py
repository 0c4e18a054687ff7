"""A scan directory as one svscan's own: `.svscan` with its lock and its FIFO."""

from __future__ import annotations

import fcntl
import os

from initfs import files, say
from initfs.supervise import moving
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.moving import Carrier


@value
class Claim:
    """Descriptors: the scan directory, its .svscan, the lock in there, and the control FIFO."""

    scandir: int
    private: int
    lock: int
    control: int


def carry(claim: Claim, carrier: Carrier) -> tuple[int, ...]:
    """The claim, to go along to our next execution."""
    return (*map(carrier.keep, (claim.scandir, claim.private, claim.lock, claim.control)),)


def resume(fds: tuple[int, ...]) -> Claim:
    """The claim of our former execution."""
    return Claim(*map(moving.take, fds))


def make(path: str) -> Claim:
    """Take the scan directory PATH. say.Fatal when it can't be had."""
    try:
        scandir = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise say.unable(f"open the scan directory {path}", error) from error
    private, lock = _private(scandir)
    _lock(lock, path)
    return Claim(scandir, private, lock, _control(private))


def _private(scandir: int) -> tuple[int, int]:
    """Descriptors of .svscan and its lock, made if need be."""
    try:
        if ".svscan" not in os.listdir(scandir):
            os.mkdir(".svscan", 0o700, dir_fd=scandir)
        fd = os.open(".svscan", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=scandir)
        return fd, os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=fd)
    except NotADirectoryError as error:
        raise say.unable("use .svscan", error, say.USAGE) from error
    except OSError as error:
        raise say.unable("make .svscan", error) from error


def _lock(lock: int, path: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise say.Fatal(say.USAGE, f"unable to supervise {path}: another svscan does") from error
    except OSError as error:
        raise say.unable("lock .svscan/lock", error) from error


def _control(private: int) -> int:
    try:
        files.make_fifo("control", 0o600, at=private)
        return files.hold_fifo("control", at=private)
    except FileExistsError as error:
        raise say.unable("use .svscan/control as a FIFO", error, say.USAGE) from error
    except OSError as error:
        raise say.unable("make .svscan/control", error) from error
