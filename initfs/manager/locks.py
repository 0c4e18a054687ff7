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
    flags = os.O_RDWR | os.O_CREAT if kind == EXCLUSIVE else os.O_RDONLY
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except FileNotFoundError:
        if kind == SHARED and os.path.isdir(directory):
            return -1  # whoever had it alone would have made it
        raise say.Fatal(say.TEMPORARY, f"unable to lock {path}: no such directory") from None
    except OSError as error:
        raise say.unable(f"lock {path}", error) from error
    try:
        fcntl.flock(
            fd, (fcntl.LOCK_EX if kind == EXCLUSIVE else fcntl.LOCK_SH) | (0 if block else fcntl.LOCK_NB)
        )
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EWOULDBLOCK:
            raise say.Fatal(say.TEMPORARY, f"{path} is locked by another process; -b waits for it") from error
        raise say.unable(f"lock {path}", error) from error
    return fd
