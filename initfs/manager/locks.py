"""The locks of the live directory and of the database. Source: `spec/service-manager.md` 6.7, Locking.

Who only reads opens the lock file read-only, so that it works on a read-only file system, and for who may not write. Descriptors are
close-on-exec: the lock ends with the program, by whatever death.
"""

from __future__ import annotations

import errno
import fcntl
import os

from initfs import say

NONE, SHARED, EXCLUSIVE = 0, 1, 2


def take(directory: str, kind: int, *, block: bool = False) -> int:
    """Lock DIRECTORY/lock and return its descriptor, -1 when there is nothing to lock. say.Fatal 111: busy, unless BLOCK."""
    path = f"{directory}/lock"
    if kind == NONE:
        return -1
    while True:
        fd = _open(path, kind)
        if fd < 0:
            return -1
        _lock(fd, path, kind, block=block)
        if _current(fd, path):
            return fd
        os.close(fd)  # while we waited another directory took its place


def _open(path: str, kind: int) -> int:
    flags = os.O_RDWR | os.O_CREAT if kind == EXCLUSIVE else os.O_RDONLY
    try:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except FileNotFoundError:
        if kind == SHARED and os.path.isdir(os.path.dirname(path)):
            return -1  # whoever had it alone would have made it
        raise say.Fatal(say.TEMPORARY, f"unable to lock {path}: no such directory") from None
    except OSError as error:
        raise say.unable(f"lock {path}", error) from error


def _lock(fd: int, path: str, kind: int, *, block: bool) -> None:
    how = fcntl.LOCK_EX if kind == EXCLUSIVE else fcntl.LOCK_SH
    try:
        fcntl.flock(fd, how if block else how | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EWOULDBLOCK:
            raise say.Fatal(say.TEMPORARY, f"{path} is locked by another process; -b waits for it") from error
        raise say.unable(f"lock {path}", error) from error


def _current(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
