"""A log directory read from its oldest line to its newest, and on, while it is written and rotated."""

from __future__ import annotations

import os

from initfs.log import rotate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 1 << 16
GZIP = b"\x1f\x8b"
CURRENT, PREVIOUS = "current", "previous"
CATCH_ALL = "/run/uncaught-logs"
ROOTS = ("/data/log", "/run/log", "/var/log/service", "/var/log")


def directories(name: str) -> list[str]:
    """The log directories of a service, those that last before those in memory; a name with a slash is a directory itself.

    LOGPATH in the environment replaces the places where they are looked for.
    """
    if "/" in name:
        return [name] if os.path.isdir(name) else []
    roots = os.environ["LOGPATH"].split(":") if "LOGPATH" in os.environ else ROOTS
    tried = [f"{root}/{name}" for root in roots]
    tried += [f"{tree()}/{name}/log/{inside}" for inside in ("logdir", "main")]
    found = [path for path in tried if os.path.isdir(path)]
    return list({os.path.realpath(path): path for path in found}.values())


def tree() -> str:
    """The scan directory of the services that are named."""
    return os.environ.get("SVDIR", "/run/service")


class Reader:
    """Reads each line of a log directory once."""

    def __init__(self, path: str) -> None:
        """OSError when there is no such directory."""
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._current = -1
        self._inode = 0
        self._awaited = 0  # the inode of `previous`, until its archive comes
        self._named = False  # the archive that it became has been seen
        self._read: set[str] = set()  # archives that are behind us
        self._former: set[int] = set()  # inodes that we have read, and that will be archives
        self._rest = b""
        self._last = "~"  # the last archive that is wanted: none is behind this

    def leave_to(self, kept: Reader) -> None:
        """Do not read the archives of which KEPT, a directory of copies, has one, and have it read no more than these."""
        names = set(filter(rotate.is_archive, os.listdir(kept.fd)))
        self._read |= names
        kept._last = max(names, default="")

    def lines(self) -> Iterator[bytes]:
        """All lines, without newlines, that are there and have not been read."""
        for block in self._blocks():
            whole = self._rest + block
            *lines, self._rest = whole.split(b"\n")
            yield from lines

    def last(self) -> bytes:
        """What follows the last newline."""
        rest, self._rest = self._rest, b""
        return rest

    def _blocks(self) -> Iterator[bytes]:
        """What is open stays open when it is renamed; whatever was `current` after it and before the present one is found by its next names."""
        while True:
            if self._current >= 0:
                yield from _rest_of(self._current)
            yield from self._older()
            if self._is_open(CURRENT):
                return
            if self._current >= 0:
                yield from _rest_of(self._current)  # it has its next name, and nothing more will come to it
            if not self._open():
                return
            yield from self._older()

    def _older(self) -> Iterator[bytes]:
        """Archives, and what is about to be one."""
        yield from self._archives()
        yield from self._previous()

    def _archives(self) -> Iterator[bytes]:
        """A listing may miss what is made meanwhile and yet have what is made after it: only a second one has all up to the last of the first."""
        newest = max(filter(rotate.is_archive, os.listdir(self.fd)), default="")
        for name in sorted(filter(rotate.is_archive, os.listdir(self.fd))):
            if name not in self._read and name <= min(newest, self._last):
                self._read.add(name)
                yield from self._archive(name)

    def _is_open(self, name: str) -> bool:
        try:
            return self._current >= 0 and os.stat(name, dir_fd=self.fd).st_ino == self._inode
        except FileNotFoundError:
            return self._current >= 0  # in the midst of a rotation

    def _previous(self) -> Iterator[bytes]:
        """A file that is no longer `current` and not yet an archive, after all those that have become archives before it."""
        try:
            fd = os.open(PREVIOUS, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            yield from self._archives()  # if there was one a moment ago, it is an archive now
            return
        seen = os.fstat(fd)
        inode = seen.st_ino if seen.st_nlink == 1 else 0  # with two names it is an archive by now
        known = {0} | self._former | ({self._inode} if self._current >= 0 else set())
        self._awaited = 0 if inode in known else inode
        yield from self._archives()
        if self._awaited:
            self._former.add(inode)
            yield from _rest_of(fd)
        self._awaited = 0
        os.close(fd)

    def _open(self) -> bool:
        """Go on with `current`; False when there is none."""
        try:
            fd = os.open(CURRENT, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        if self._current >= 0:
            self._former |= set() if self._named else {self._inode}
            self._named = False
            os.close(self._current)
        self._current, self._inode = fd, os.fstat(fd).st_ino
        return True

    def _archive(self, name: str) -> Iterator[bytes]:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return  # trimmed in the meantime
        try:
            inode = os.fstat(fd).st_ino
            if self._current >= 0 and inode == self._inode:
                self._named = True
                yield from _rest_of(self._current)  # what came next is in later archives
                return
            if inode == self._awaited:
                self._awaited = 0
            if inode in self._former:
                self._former.discard(inode)  # we have read it under its former name
                return
            if os.pread(fd, 2, 0) == GZIP:
                yield from _inflated(fd)
            else:
                yield from _rest_of(fd)
        finally:
            os.close(fd)


def _rest_of(fd: int) -> Iterator[bytes]:
    while block := os.read(fd, AT_ONCE):
        yield block


def _inflated(fd: int) -> Iterator[bytes]:
    """What a processor has compressed; what is damaged is left out."""
    import zlib

    inflate = zlib.decompressobj(wbits=31)
    for block in _rest_of(fd):
        left = block
        while left:
            try:
                yield inflate.decompress(left)
            except zlib.error:
                return
            left = inflate.unused_data
            if left:
                inflate = zlib.decompressobj(wbits=31)
