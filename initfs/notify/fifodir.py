"""A fifodir: a directory as a broadcast point. Who listens puts a FIFO there, who notifies writes to every FIFO.

Source: `spec/notification.md` 4.1; names and modes as s6's programs expect them (`facts/peers.md` 7.4), so that their
listeners hear our notifiers and ours theirs. Nothing here blocks: every FIFO is opened O_NONBLOCK. Process 1 imports this.
"""

from __future__ import annotations

import os
import time
from errno import ENXIO

from initfs import tai

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

PUBLIC = 0o1733  # anybody may listen, only the owner may see who does
RESTRICTED = 0o3730  # the directory's group may listen; set-gid hands the group on to the FIFOs
FIFO_MODE = 0o622
PREFIX = "ftrig1:@"
NAME_SIZE = 39  # "ftrig1:", a TAI64N label (25), ":", six characters
PIPE_SIZE = 65536  # what a FIFO holds, pipe(7)

_KIND, _FIFO = 0o170000, 0o010000
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_WRITE = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_TO_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make(path: str, *, gid: int | None, mode: int, force: bool = False, at: int | None = None) -> bool:
    """Make a fifodir of group GID (None: as it comes) and MODE; True when made.

    An existing directory is left as it is unless FORCE gives it group and mode. Whatever else is there is an error.
    """
    try:
        os.mkdir(path, 0o700, dir_fd=at)
    except FileExistsError:
        if os.stat(path, dir_fd=at).st_mode & _KIND != 0o040000:
            raise
        if not force:
            return False
    if gid is not None:
        os.chown(path, -1, gid, dir_fd=at)
    os.chmod(path, mode, dir_fd=at)  # after chown, and whatever the umask is
    return True


def ensure(path: str, at: int | None = None) -> bool:
    """Have a service's event directory; True when it was made now.

    An existing one is left untouched, a link to nothing gets its target made.
    """
    try:
        return make(path, gid=os.getegid(), mode=RESTRICTED, at=at)
    except FileNotFoundError:  # mkdir(2) says "exists" for a dangling link, stat(2) says it does not
        target = os.readlink(path, dir_fd=at)
        return make(os.path.join(os.path.dirname(path), target), gid=os.getegid(), mode=RESTRICTED, at=at)


def notify(path: str | int, message: bytes, at: int | None = None) -> int:
    """Write MESSAGE in one write to every listener's FIFO; return how many listeners there are.

    PATH is a directory, relative to the descriptor AT if given, or a descriptor itself. A listener that is gone is
    removed, one whose FIFO is full loses the message, any other trouble with one is no trouble for the others. Of
    more than PIPE_BUF (4096) bytes a nearly full FIFO may take a part. OSError only when PATH cannot be listed.
    """
    directory = path if isinstance(path, int) else os.open(path, _TO_LIST, dir_fd=at)
    try:
        return sum(
            _tell(name, directory, message)
            for name in os.listdir(directory)
            if len(name) == NAME_SIZE and name.startswith(PREFIX)
        )
    finally:
        if directory != path:
            os.close(directory)


def clean(path: str, at: int | None = None) -> None:
    """Remove the FIFOs that nobody reads any more. OSError only when the directory cannot be listed."""
    notify(path, b"", at)


def _tell(name: str, directory: int, message: bytes) -> bool:
    """True when somebody reads the FIFO. What is stale is unlinked; what is not a FIFO is not even opened.

    In a public fifodir anybody may put anything: a device has effects when opened, a socket answers ENXIO as a stale
    FIFO does, a link leads elsewhere. And it may be replaced between the look and the open, hence the second look.
    """
    try:
        if os.lstat(name, dir_fd=directory).st_mode & _KIND != _FIFO:
            return False
        fd = os.open(name, _TO_WRITE, dir_fd=directory)  # ENXIO: no reader
    except OSError as error:
        if error.errno == ENXIO:
            _remove(name, directory)
        return False
    try:
        if os.fstat(fd).st_mode & _KIND != _FIFO:
            return False
        os.write(fd, message)
    except BlockingIOError:
        return True  # full: this listener has not read 64 KiB of events, it loses one more
    except OSError:  # EPIPE: its reader has just gone
        _remove(name, directory)
        return False
    finally:
        os.close(fd)
    return True


def _remove(name: str, directory: int | None) -> None:
    """Unlink; that it is gone, or is not ours to remove, is no trouble."""
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        return


class Subscription:
    """One listener in a fifodir, from its making to `close`; what is notified in between is not lost.

    Raises OSError when PATH (relative to AT if given) does not take a FIFO: ENOENT, EACCES, ENOSPC...
    """

    def __init__(self, path: str, at: int | None = None) -> None:
        name = f"{PREFIX[:-1]}{tai.label(time.time_ns())}:{_suffix()}"
        hidden, self._name, self._at = f"{path}/.{name}", f"{path}/{name}", at
        os.mkfifo(hidden, FIFO_MODE, dir_fd=at)
        try:
            os.chmod(hidden, FIFO_MODE, dir_fd=at)  # whatever the umask is
            # One descriptor for reading and writing, fifo(7): never ENXIO for notifiers, never the end for us.
            self.fd = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        except OSError:
            _remove(hidden, at)
            raise
        try:
            # Visible only now, when it has a reader: a notifier never takes a new listener for a stale one.
            os.rename(hidden, self._name, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            os.close(self.fd)
            _remove(hidden, at)
            raise

    def read(self) -> bytes:
        """The bytes that have come since the last call; none is b"". Never blocks."""
        try:
            return os.read(self.fd, PIPE_SIZE)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """No longer listen; a second call does nothing."""
        if self.fd >= 0:
            _remove(self._name, self._at)
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _suffix() -> str:
    """Six characters that nobody else uses. Just after power-on the kernel may have no randomness: then from our pid.

    Unique is all they must be (mkfifo(2) refuses a name that exists), and waiting for randomness would stop a boot.
    """
    try:
        random = os.getrandom(6, os.GRND_NONBLOCK)
    except OSError:
        random = (os.getpid() << 24 ^ time.monotonic_ns()).to_bytes(16, "little")[:6]
    return "".join(_LETTERS[byte & 63] for byte in random)
