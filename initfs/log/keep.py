"""Copies of archives on a disk that lasts: written seldom, and each as a whole. Only logs with `k` import this.

What has to be copied is seen from the two directories alone: names of archives ascend, so it is what is newer than the newest that has a copy.
After a boot with a clock that was set back there may be copies with later names: then the archives get names behind those, so that the first in order
is the oldest here too. What was written in the last hour is seen from the times of the copies, so that neither a kill nor a restart loosens the
bound. There are two bounds: of one log, and of all whose copies lie beside each other, whichever loggers wrote them.
"""

from __future__ import annotations

import os
import time
from errno import ENOENT

from initfs import files, say, tai
from initfs.log import rotate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from initfs.log.script import Policy

HOUR = 3600
BLOCK = 4096  # bytes: the least that a disk writes
AT_ONCE = 1 << 20
NEW = "new"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW

if TYPE_CHECKING:
    Copy = tuple[str, int, float]  # name, bytes, when it was written (seconds)


def cost(size: int) -> int:
    """How many bytes a disk writes for a file of SIZE bytes: its blocks, and one for its name."""
    return -(-size // BLOCK) * BLOCK + BLOCK


def spent(kept: Iterable[Copy], now: float) -> int:
    """How many bytes the copies of the hour before NOW have cost."""
    return sum(cost(size) for _, size, when in kept if abs(now - when) < HOUR)


def plan(
    archives: Iterable[tuple[str, int]], kept: Sequence[Copy], now: float, hourly: int
) -> list[tuple[str, int]]:
    """Which of the archives (name, bytes) are to be copied NOW, oldest first, so that an hour has HOURLY bytes at most.

    One that is larger than that has an hour of its own.
    """
    return within(waiting(archives, kept), spent(kept, now), hourly)


def waiting(archives: Iterable[tuple[str, int]], kept: Iterable[Copy]) -> list[tuple[str, int]]:
    """The archives that have not been copied, oldest first."""
    ordered = sorted(archives)
    copied = {name for name, _, _ in kept}
    newest = max((name for name, _ in ordered if name in copied), default="")
    return [one for one in ordered if one[0] > newest]


def renamed(archives: Iterable[tuple[str, int]], kept: Sequence[Copy]) -> list[tuple[str, str]]:
    """(name, new name) of those that are waiting and have to come behind copies of later names. The last comes first: done one after the
    other, the names are in order at any moment.
    """
    newest = max((name for name, _, _ in kept), default="")
    found = []
    for name, _ in waiting(archives, kept):
        if name <= newest:
            newest = rotate.next_label(0, newest) + name[tai.LABEL_SIZE :]
            found.append((name, newest))
        else:
            newest = name
    return found[::-1]


def within(archives: Sequence[tuple[str, int]], used: int, bound: int) -> list[tuple[str, int]]:
    """As many of the archives as BOUND allows, of which so much is USED; if nothing is used, the first of them anyway."""
    chosen = []
    for name, size in archives:
        if used and used + cost(size) > bound:
            break
        used += cost(size)
        chosen.append((name, size))
    return chosen


def surplus(kept: Sequence[Copy], now: float, count: int, total: int) -> list[str]:
    """Which copies are to go: as of archives, but those of the last hour stay, as they tell what was written."""
    recent = {name for name, _, when in kept if abs(now - when) < HOUR}
    gone = rotate.surplus([(name, size) for name, size, _ in kept], count, total)
    return [name for name in gone if name not in recent]


class Keeper:
    """The copies of one log directory."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._said = ""

    def copy(self, source: int) -> None:
        """Copy what is to be copied from the directory SOURCE. That it cannot be done is said; where there is no such disk it is not even tried."""
        try:
            target = self._open()
        except OSError as error:
            self._say(error)
            return
        try:
            self._copy(source, target)
            self._said = ""
        except OSError as error:
            self._say(error)
        finally:
            os.close(target)

    def _say(self, error: OSError) -> None:
        reason = say.reason(error)
        if error.errno != ENOENT and reason != self._said:
            self._said = reason
            say.warning(f"unable to keep a log in {self._policy.keep}: {reason}")

    def _open(self) -> int:
        path = self._policy.keep
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _copy(self, source: int, target: int) -> None:
        policy, now = self._policy, time.time()
        kept = listed(target)
        for name, new in renamed(_archives(source), kept):
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=source)
        chosen = plan(_archives(source), kept, now, policy.hourly)
        if chosen:  # only then it is worth while to look at all others
            chosen = within(chosen, spent(beside(policy.keep), now), policy.hourly_all)
        for name, _ in chosen:
            write(name, source, target)
        for name in surplus(listed(target), now, policy.count, policy.total):
            files.remove(name, at=target)


def _archives(directory: int) -> list[tuple[str, int]]:
    return [(name, size) for name, size, _ in listed(directory)]


def beside(path: str) -> list[Copy]:
    """All copies in the directory PATH, and in those beside it that may be seen. OSError."""
    parent, own = os.path.split(os.path.abspath(path))
    try:
        names = os.listdir(parent)
    except PermissionError:
        names = [own]
    found: list[Copy] = []
    for name in names:
        try:
            directory = os.open(os.path.join(parent, name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (NotADirectoryError, PermissionError, FileNotFoundError):
            continue
        try:
            found += listed(directory)
        finally:
            os.close(directory)
    return found


def listed(directory: int) -> list[Copy]:
    """The archives in a directory. OSError."""
    found = []
    for name in filter(rotate.is_archive, os.listdir(directory)):
        try:
            seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:  # its logger has removed it meanwhile
            continue
        found.append((name, seen.st_size, seen.st_mtime))
    return found


def write(name: str, source: int, target: int) -> None:
    """Copy one file, so that its name is there when all of it is on the disk. OSError."""
    reading = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(NEW, _WRITE, 0o600, dir_fd=target)
        try:
            while os.sendfile(writing, reading, None, AT_ONCE):
                pass
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    os.rename(NEW, name, src_dir_fd=target, dst_dir_fd=target)
    os.fsync(target)
