"""Small files, FIFOs and directories: the ground's door to the file system. Nothing here blocks."""

from __future__ import annotations

import os

from initfs import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_REPLACE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
KNOB_SIZE = 4096  # a knob is one short line; what is longer is not read
_PIECE = 65536  # os.read allocates all that it may read: room is taken as it is needed, whatever SIZE allows


def read(path: str, *, at: int | None = None, size: int = KNOB_SIZE) -> bytes | None:
    """The first SIZE bytes of a file, or None when there is none. O_NONBLOCK: a FIFO in its place must not hang us."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
    except FileNotFoundError:
        return None
    try:
        content = os.read(fd, min(size, _PIECE))
        while size > KNOB_SIZE and len(content) < size:  # one read of a /proc file is a page of it
            more = os.read(fd, min(size - len(content), max(len(content), _PIECE)))
            if not more:
                break
            content += more
    finally:
        os.close(fd)
    return content


def write(path: str, content: bytes, *, at: int | None = None, mode: int = 0o644) -> None:
    """Replace a file atomically: write PATH.new, then rename(2). A half-written file is never seen under its name."""
    new = path + ".new"
    fd = os.open(new, _REPLACE, mode, dir_fd=at)
    try:
        if content:
            os.write(fd, content)
    finally:
        os.close(fd)
    os.rename(new, path, src_dir_fd=at, dst_dir_fd=at)


def empty(path: str, *, at: int | None = None) -> None:
    """Have an empty file: one that is there becomes empty in one step, which is cheaper than replacing it."""
    try:
        os.close(os.open(path, _REPLACE & ~os.O_CREAT, dir_fd=at))
    except OSError:
        write(path, b"", at=at)


def put(path: str, content: bytes) -> None:
    """Write to a file that is there, in one piece: a knob of the kernel's."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)


def create(path: str, content: bytes = b"", *, at: int | None = None) -> None:
    """Have a file, whatever is there already: O_EXCL opens nothing that exists, be it a FIFO or a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644, dir_fd=at)
    except FileExistsError:
        return
    try:
        if content:
            os.write(fd, content)
    finally:
        os.close(fd)


def make_fifo(path: str, mode: int, *, at: int | None = None) -> None:
    """Make a FIFO unless there is one. Whatever else is in its place is an error: somebody put it there."""
    try:
        os.mkfifo(path, mode, dir_fd=at)
    except FileExistsError:
        if os.stat(path, dir_fd=at).st_mode & 0o170000 != 0o010000:
            raise


def hold_fifo(path: str, *, at: int | None = None) -> int:
    """A descriptor that reads the FIFO and never sees its end: opened for reading and writing, as fifo(7) allows."""
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)


def take(fd: int, size: int = KNOB_SIZE) -> bytes | None:
    """What can be read of a non-blocking descriptor now: b"" at its end, None when somebody else has read it first."""
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return None


def have_standard_descriptors() -> None:
    """Have something on 0, 1 and 2, so that no file of ours ends up there."""
    fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    while fd <= 2:
        os.set_inheritable(fd, True)
        fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.close(fd)


def send(path: str, content: bytes) -> None:
    """Write CONTENT in one piece to a FIFO that somebody reads. Raises OSError: ENXIO when nobody does."""
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)


def remove(path: str, *, at: int | None = None) -> None:
    """Unlink, and be content when it is gone already."""
    try:
        os.unlink(path, dir_fd=at)
    except FileNotFoundError:
        return


def tried(what: str, act: Callable[[], object]) -> bool:
    """Act; when the system says no, warn `unable to WHAT` and go on. True when it went well."""
    try:
        act()
    except OSError as error:
        say.warning(f"unable to {what}: {say.reason(error)}")
        return False
    return True
