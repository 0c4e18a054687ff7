"""What a client does with a supervised service directory: find it, ask whether it is supervised, read, command.

The FIFO `supervise/ok` answers whether somebody supervises: opened for writing without blocking, it is refused with ENXIO
when nobody reads it. Every suite but s6 asks that way, so our clients work on a real runsv and on daemontools, too. Who may not
open it asks for the lock, as s6's clients do.
"""

from __future__ import annotations

import errno
import os
import sys

from initfs import files, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

SVDIR = "/run/service"


def locate(name: str) -> str:
    """The service directory that an argument means.

    A bare name that is not a service directory here is looked up in $SVDIR, as sv(8) and the example services do.
    """
    bare = name and "/" not in name and not name.startswith(".")
    if bare and not os.path.isdir(f"{name}/supervise"):
        return os.path.join(os.environ.get("SVDIR", SVDIR), name)
    return name


def supervised(directory: str) -> bool:
    """Whether somebody supervises it. Raises OSError when there is no such directory."""
    try:
        os.close(os.open(f"{directory}/supervise/ok", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        if error.errno == errno.ENOENT and os.path.isdir(directory):
            return False
        if error.errno == errno.EACCES and os.access(f"{directory}/supervise/lock", os.R_OK):
            return locked(directory)
        raise
    return True


def locked(directory: str) -> bool:
    """Whether a process holds the lock: what those can ask who may see the status, and not control (svperms).

    An advisory write lock shows itself to whoever may read the file, fcntl(2).
    """
    import fcntl

    try:
        fd = os.open(f"{directory}/supervise/lock", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # struct flock begins with l_type, which becomes F_UNLCK when the lock could be had.
        asked = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(30)
        return int.from_bytes(fcntl.fcntl(fd, fcntl.F_GETLK, asked)[:2], sys.byteorder) != fcntl.F_UNLCK
    except OSError:
        return False
    finally:
        os.close(fd)


def read_status(directory: str) -> Status:
    """Its status. say.Fatal: 1 when it is not supervised, 111 when it can't be read."""
    from initfs.supervise import status  # most programs only ask whether it is supervised, or command

    try:
        if not supervised(directory):
            raise say.Fatal(say.NO, f"{directory} is not supervised")
        data = files.read(f"{directory}/supervise/status")
        return status.decode(data or b"")
    except OSError as error:
        raise say.unable(f"read the status of {directory}", error) from error
    except ValueError as error:
        raise say.Fatal(say.TEMPORARY, f"unable to read the status of {directory}: {error}") from error


def send(directory: str, letters: str) -> None:
    """Send command letters. say.Fatal: 102 when nobody supervises it, 111 for other trouble."""
    try:
        files.send(f"{directory}/supervise/control", letters.encode())
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            raise say.Fatal(say.NOT_SUPERVISED, f"{directory} is not supervised") from error
        raise say.unable(f"control {directory}", error) from error
