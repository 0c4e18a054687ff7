"""The archives of a log directory: made of what is finished, trimmed, copied to where they last.

Source: `spec/logging.md` 2.2. Each call is told the directory's descriptor, since a directory can be made anew. All of them raise OSError.
"""

from __future__ import annotations

import os
import time

from initfs import files, say, tai
from initfs.log import rotate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.keep import Keeper
    from initfs.log.script import Policy

CURRENT, PREVIOUS, PROCESSED = "current", "previous", "processed"
FINISHED = 0o100  # the mode bit that marks a file as ended cleanly


class Archives:
    """What is known of them."""

    def __init__(self, path: str, policy: Policy, offset: int = tai.LEAP) -> None:
        """PATH is for messages; OFFSET the convention of their names."""
        self._path, self._offset = path, offset
        self.policy = policy
        self._newest = ""
        self._keeper: Keeper | None = None

    def recover(self, at: int) -> None:
        """Make archives of what an interrupted logger has left."""
        names = set(os.listdir(at))
        finished = {name for name in (CURRENT, PROCESSED) if is_finished(name, at)}
        for operation, name in rotate.recovery(names, finished):
            if operation == "remove":
                files.remove(name, at=at)
            else:
                self.add(name, operation.removeprefix("archive"), at)

    def look(self, at: int) -> None:
        """See which is the newest."""
        self._newest = max(filter(rotate.is_archive, os.listdir(at)), default="")

    def add(self, name: str, suffix: str, at: int) -> None:
        """Give a file its archive's name; an empty one, or one that is an archive already, just goes."""
        seen = os.stat(name, dir_fd=at)
        if seen.st_size and seen.st_nlink == 1:
            archive = rotate.next_label(time.time_ns(), self._newest, self._offset) + suffix
            try:
                os.link(name, archive, src_dir_fd=at, dst_dir_fd=at)
            except PermissionError:  # a file system without links
                os.rename(name, archive, src_dir_fd=at, dst_dir_fd=at)
            self._newest = archive
        files.remove(name, at=at)

    def trim(self, at: int) -> None:
        """Remove what is too much."""
        found = []
        for name in filter(rotate.is_archive, os.listdir(at)):
            size = os.stat(name, dir_fd=at, follow_symlinks=False).st_size if self.policy.total else 0
            found.append((name, size))
        for name in rotate.surplus(found, self.policy.count, self.policy.total):
            files.remove(name, at=at)

    def keep(self, at: int) -> None:
        """Copy what is to outlive the machine's run."""
        if not self.policy.keep:
            return
        if self._keeper is None:
            from initfs.log.keep import Keeper

            self._keeper = Keeper(self.policy)
        self._keeper.copy(at)
        self.look(at)  # it may have renamed some

    def make_room(self, at: int) -> bool:
        """On a full disk, remove the oldest, if there are more than must stay."""
        if self.policy.least < 0:
            return False
        found = sorted(filter(rotate.is_archive, os.listdir(at)))
        if len(found) <= self.policy.least:
            return False
        say.warning(f"{self._path}: the disk is full; removing {found[0]}")
        files.remove(found[0], at=at)
        return True


def is_finished(name: str, at: int) -> bool:
    """Whether a file carries the mark of a clean end."""
    try:
        return bool(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode & FINISHED)
    except FileNotFoundError:
        return False


def mark(name: str, at: int) -> None:
    """Mark a file as ended cleanly."""
    os.chmod(name, os.stat(name, dir_fd=at).st_mode & 0o7777 | FINISHED, dir_fd=at)
