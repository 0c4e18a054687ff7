"""From one execution of a program to its next: descriptors stay open, values travel in a sealed memory file.

execve(2) keeps the pid, the children, fcntl(2) locks, pending signals and the signal mask, and every descriptor that is not
close-on-exec. So nothing is handed over that could get lost: what is in a pipe stays there, who has connected stays connected.
The file is made by memfd_create(2) and sealed: nobody can change it on the way.
"""

from __future__ import annotations

import fcntl
import os

from initfs import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, NoReturn

VARIABLE = "INITFS_LUGGAGE"  # in the environment: the descriptor of the file
LOST = "lost"  # there instead of a number: what there was could not be used
STANDARD = 2
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Carrier:
    """Notes the descriptors that come along; they are let through only at the last moment."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def keep(self, fd: int) -> int:
        """Have FD come along; returns its number, which stays the same."""
        if fd >= 0:
            self._fds.append(fd)
        return fd

    def execute(
        self, path: str, argv: list[str], environment: Mapping[str, str], values: dict[str, Any]
    ) -> NoReturn:
        """Become PATH, with VALUES sealed. Returns by OSError only; then everything is as before."""
        from initfs.supervise import luggage

        file = seal(luggage.pack(values))
        try:
            for fd in (*self._fds, file):
                os.set_inheritable(fd, True)
            os.execve(path, argv, {**environment, VARIABLE: str(file)})
        finally:
            for fd in self._fds:
                os.set_inheritable(fd, False)
            os.close(file)


def seal(data: bytes) -> int:
    """A descriptor of a file in memory with DATA, which nobody can change any more."""
    fd = os.memfd_create("initfs-luggage", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def arrived() -> dict[str, Any] | None:
    """What our former execution left for us; None when there is none. Unreadable when it can't be used."""
    number = os.environ.pop(VARIABLE, "")
    if number in ("", LOST):
        return None
    from initfs.supervise import luggage  # hardly ever: a start must not wait for it

    try:
        fd = int(number)
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) != SEALS:
            raise luggage.Unreadable("not sealed")
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        os.close(fd)
    except (OSError, ValueError) as error:
        raise luggage.Unreadable(str(error)) from error
    return luggage.unpack(data)


def take(fd: int) -> int:
    """Have a descriptor that has come along for ourselves again. Unreadable when it has not come."""
    if fd >= 0:
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            from initfs.supervise.luggage import Unreadable

            raise Unreadable(f"descriptor {fd} has not come along") from error
    return fd


def began_before() -> bool:
    """Whether this execution follows another one of ours."""
    return VARIABLE in os.environ


def let_go(error: Exception, but: Collection[int] = ()) -> dict[str, str]:
    """Say why what came along can't be used. Returns the environment for one more execution, in which all of it is closed: locks that we
    hold without knowing would lock out ourselves.
    """
    say.warning(
        f"unable to take over from ourselves: {say.describe(error)}; looking for what still runs instead"
    )
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > STANDARD and fd not in but:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue  # that of the directory that is read here
    return {**os.environ, VARIABLE: LOST}
