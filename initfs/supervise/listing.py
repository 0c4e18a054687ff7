"""What is in a scan directory now: its service directories by identity, and the directories of their loggers."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.supervise import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from initfs.supervise.scan import Found, Identity
    from initfs.supervise.watch import Waiting

DIRECTORY, PLAIN, KIND = 0o040000, 0o100000, 0o170000
WAITING_MAX = 64  # directories without `run` that are watched: each costs a descriptor
UNREADABLE, NO_ENTRY = 5.0, 4.0  # seconds until what failed is tried again (`spec/supervision.md` 1.1)


class Listing:
    """Looks into the scan directory FD. RETRY is told of trouble: (seconds, what)."""

    def __init__(self, fd: int, name_max: int, retry: Callable[[float, str], None], *, watched: bool) -> None:
        self._fd = fd
        self._name_max = name_max
        self._retry = retry
        self._waiting: Waiting | None = None
        if watched:
            from initfs.supervise import watch

            self._waiting = watch.Waiting()
            watch.watch(".", fd)

    def clean(self) -> None:
        """Remove the links that lead nowhere. Done once, at the start."""
        try:
            with os.scandir(self._fd) as entries:
                links = [entry.name for entry in entries if entry.is_symlink()]
        except OSError:
            return
        for name in links:
            if not name.startswith("."):
                self._clean(name)

    def _clean(self, name: str) -> None:
        try:
            os.stat(name, dir_fd=self._fd)
        except FileNotFoundError:
            what = f"remove the dangling link {name}"
            files.tried(what, lambda: os.unlink(name, dir_fd=self._fd))
        except OSError:
            return  # it leads somewhere, if not for us

    def look(self, known: Mapping[str, tuple[Identity, Found]]) -> dict[Identity, Found] | None:
        """What is there; None when it can't be read. KNOWN, by name, is what an entry counts as that can't be looked at now."""
        try:
            names = sorted(os.listdir(self._fd))
        except OSError as error:
            self._retry(UNREADABLE, f"unable to read the scan directory: {say.reason(error)}")
            return None
        found: dict[Identity, Found] = {}
        for name in names:
            seen = self._entry(name, known) if self._accept(name) else None
            if seen is not None:
                found[seen[0]] = seen[1]
        return found

    def _accept(self, name: str) -> bool:
        if scan.accept(name, self._name_max):
            return True
        if not name.startswith("."):
            say.warning(f"{name[:40]}...: the name is too long, not supervised")
        return False

    def _entry(self, name: str, known: Mapping[str, tuple[Identity, Found]]) -> tuple[Identity, Found] | None:
        try:
            kind, identity = self._look(name)
            if kind != DIRECTORY:
                return None
            kind, log = self._look(f"{name}/log")
            if kind == DIRECTORY:
                return identity, scan.Found(name, log)
            return identity, scan.Found(name, None, self._script(f"{name}/log") if kind == PLAIN else b"")
        except OSError as error:
            self._retry(NO_ENTRY, f"unable to look at {name}: {say.reason(error)}")
            return known.get(name)

    def _look(self, path: str) -> tuple[int, Identity]:
        """The kind of a file, links followed, and its identity; kind 0 when there is none."""
        try:
            seen = os.stat(path, dir_fd=self._fd)
        except (FileNotFoundError, NotADirectoryError):
            return 0, (0, 0)
        return seen.st_mode & KIND, (seen.st_dev, seen.st_ino)

    def _script(self, path: str) -> bytes:
        """The content of a plain file; an empty one says that nothing is to be logged."""
        return (files.read(path, at=self._fd) or b"").strip()

    def with_run(
        self, found: dict[Identity, Found], supervised: Container[Identity]
    ) -> dict[Identity, Found]:
        """Without those that have no `run` yet, if the directory is watched: they are looked at again when they change."""
        if self._waiting is None:
            return found
        waiting = {
            identity
            for identity, seen in found.items()
            if identity not in supervised and not self._has_run(seen.name)
        }
        if len(waiting) > WAITING_MAX:
            self._retry(
                NO_ENTRY, f"{len(waiting)} directories have no run; not watching more than {WAITING_MAX}"
            )
        for identity in list(waiting)[:WAITING_MAX]:
            name = found[identity].name
            try:
                self._waiting.add(identity, name, self._fd)
            except OSError as error:
                self._retry(NO_ENTRY, f"unable to watch {name}: {say.reason(error)}")
        self._waiting.keep(waiting)
        return {identity: seen for identity, seen in found.items() if identity not in waiting}

    def _has_run(self, name: str) -> bool:
        try:
            os.stat(f"{name}/run", dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return False
        return True
