"""Directories that announce their own changes: F_NOTIFY of fcntl(2), which needs no library.

The kernel sends SIGIO for a change in a directory that is held open. The signal does not say which one: that is enough to
know that it is time to look. DN_MULTISHOT keeps the request; a kernel without it says EINVAL, and then only requests count.

Closing any duplicate of the descriptor ends the watch, and os.listdir(fd) works on a duplicate: so each watch has an open
directory of its own, which nobody reads.
"""

from __future__ import annotations

import fcntl
import os

from initfs import say

COMES_AND_GOES = fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
CHANGES = COMES_AND_GOES | fcntl.DN_ATTRIB


def watch(path: str, at: int, what: int = COMES_AND_GOES) -> int:
    """Ask for SIGIO when the directory PATH below AT changes; returns the descriptor to close when no longer interested.

    OSError when there is no such directory. A kernel that does not announce is said, and then requests are all there is.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
    try:
        fcntl.fcntl(fd, fcntl.F_NOTIFY, what)
    except OSError as error:
        say.warning(f"unable to watch {path}: {say.reason(error)}; scanning on request only")
    return fd


class Waiting:
    """Service directories that have no `run` yet, each watched until it has, or until it is gone."""

    def __init__(self) -> None:
        self._fds: dict[tuple[int, int], int] = {}

    def add(self, identity: tuple[int, int], path: str, at: int) -> None:
        if identity not in self._fds:
            self._fds[identity] = watch(path, at, CHANGES)

    def keep(self, identities: set[tuple[int, int]]) -> None:
        """Forget all but these."""
        for identity in set(self._fds) - identities:
            os.close(self._fds.pop(identity))
