"""What a client does with a supervised service directory: find it, ask whether it is supervised, read, command.

The FIFO `supervise/ok` answers whether somebody supervises: opened for writing without blocking, it is refused with ENXIO
when nobody reads it. Every suite but s6 asks that way, so our clients work on a real runsv and on daemontools, too.
"""

from __future__ import annotations

import errno
import os

from initfs import files, say
from initfs.supervise import status

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
        raise
    return True


def read_status(directory: str) -> Status:
    """Its status. say.Fatal: 1 when it is not supervised, 111 when it can't be read."""
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
