"""Source directories, read: the only module that looks at definitions on disk.

Nothing here waits or grows without end: every file is opened without blocking, only regular files and character devices (a link
to /dev/null is an empty file) are read, and at most MOST bytes of them.
"""

from __future__ import annotations

import os
from errno import ELOOP

from initfs import say
from initfs.manager import definition
from initfs.manager.model import LONGRUN, Definition, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1 << 20  # bytes of a file that we look into
_PAGE = 4096  # most files fit; asking for more costs more than reading it
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KIND, _REGULAR, _CHARACTER, _DIRECTORY = 0o170000, 0o100000, 0o020000, 0o040000
_KINDS = {0o010000: "a FIFO", 0o140000: "a socket", 0o060000: "a block device", _DIRECTORY: "a directory"}
_COPIED = (_REGULAR, 0o010000, 0o120000)  # of a tree, beside directories: FIFOs, and links wherever they lead
_LISTS = ("dependencies.d", "contents.d")


class Sources:
    """What a number of source directories define. `faults` is what is wrong, `failed` counts those that are the system's doing."""

    def __init__(self, warn: Callable[[str], None] = say.warning) -> None:
        self.definitions: list[Definition] = []
        self.faults: list[Fault] = []
        self.failed = 0
        self.broken: set[str] = set()  # services of which nothing is known but the name
        self._warn = warn

    def add(self, directory: str) -> None:
        """Read a source directory: its subdirectories, by name in the order of their bytes."""
        try:
            entries = os.listdir(directory)
        except OSError as error:
            self._fail(directory, "unable to read the source directory", error)
            return
        found = sorted((entry for entry in entries if not entry.startswith(".")), key=os.fsencode)
        before = len(self.definitions)
        for entry in found:
            self._add(directory, entry)
        if len(self.definitions) == before and not self.faults:
            self._warn(f"the source {directory} is empty")

    def _add(self, directory: str, entry: str) -> None:
        place = f"{directory}/{entry}"
        if "\n" in entry:
            self._fault(f"{directory}/{entry!r}", "a newline in a name", "a name of one line")
            return
        if definition.reserved(entry):
            self._fault(
                place,
                "the name begins with a reserved prefix",
                "another name: s6rc- and s6-rc- are the manager's own",
            )
            return
        try:
            entries = os.listdir(place)
        except NotADirectoryError:
            return  # what is not a directory is no service
        except OSError as error:
            self._fail(place, "unable to read the service", error)
            self.broken.add(entry)
            return
        self._read(entry, place, entries)

    def _read(self, name: str, place: str, entries: list[str]) -> None:
        kind = self._kind(place, entries)
        if not kind:
            self.broken.add(name)
            return
        raw: dict[str, bytes | list[str]] = {}
        for file in definition.FILES[kind].intersection(entries):
            if f"{file}.d" in _LISTS and os.path.exists(f"{place}/{file}.d"):
                continue  # whatever the old form is, nobody looks at it
            found = self._file(place, file)
            if found is not None:
                raw[file] = found
        if kind == LONGRUN:
            self._check_longrun(place, entries)
        before = len(self.faults)
        defined = definition.parse(name, kind, place, raw, self.faults, self._warn)
        self.definitions.append(defined)
        if len(self.faults) > before:
            self._forget_repeated(before)

    def _kind(self, place: str, entries: list[str]) -> str:
        """What its `type` says; "" when that is wrong."""
        content = self._content(place, "type") if "type" in entries else None
        if content is None:
            if not self._told(f"{place}/type"):
                self._fault(f"{place}/type", "missing", "a file that says oneshot, longrun or bundle")
            return ""
        kind = definition.kind(content)
        if not kind:
            self._fault(
                f"{place}/type", f"not a type: {definition.shown(content)}", "oneshot, longrun or bundle"
            )
        return kind

    def _told(self, path: str) -> bool:
        """Whether this file's fault is the last that was found."""
        return bool(self.faults) and self.faults[-1].place == path

    def _forget_repeated(self, before: int) -> None:
        """A file that could not be read is no missing file."""
        told = {fault.place for fault in self.faults[:before]}
        self.faults[before:] = [fault for fault in self.faults[before:] if fault.place not in told]

    def _file(self, place: str, file: str) -> bytes | list[str] | None:
        if file in definition.FLAGS:
            return b"" if os.path.exists(f"{place}/{file}") else None
        if file not in _LISTS:
            return self._content(place, file)
        try:
            return os.listdir(f"{place}/{file}")
        except FileNotFoundError:
            return None  # a link to nothing
        except OSError as error:
            self._fault(
                f"{place}/{file}", say.reason(error).lower(), "a directory with an entry for each name"
            )
            return []

    def _content(self, place: str, file: str) -> bytes | None:
        """A file's content; None when there is none, or it can't be had, which is a fault."""
        path = f"{place}/{file}"
        try:
            fd = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._fail(path, "unable to open", error)
            return None
        try:
            mode = os.fstat(fd).st_mode & _KIND
            if mode not in (_REGULAR, _CHARACTER):
                self._fault(path, _KINDS.get(mode, "something odd"), "a file")
                return None
            content = os.read(fd, _PAGE)
            while content and len(content) % _PAGE == 0 and len(content) < MOST:
                more = os.read(fd, _PAGE)
                if not more:
                    break
                content += more
        except OSError as error:
            self._fail(path, "unable to read", error)
            return None
        finally:
            os.close(fd)
        if len(content) >= MOST:
            self._fault(path, f"more than {MOST} bytes", "a file of one value or a few lines")
        return content

    def _check_longrun(self, place: str, entries: list[str]) -> None:
        """The files that are copied, not read."""
        for file in definition.PROGRAMS:
            if file in entries:
                self._check(f"{place}/{file}", _REGULAR, "a regular file")
            elif file == "run":
                self._fault(f"{place}/run", "missing", "the program that a longrun is")
        for file in definition.TREES:
            if file in entries and self._check(f"{place}/{file}", _DIRECTORY, "a directory"):
                self._check_tree(f"{place}/{file}")

    def _check(self, path: str, wanted: int, right: str) -> bool:
        try:
            mode = os.stat(path).st_mode & _KIND
        except FileNotFoundError:
            if path.endswith("/run"):
                self._fault(path, "a link to nothing", right)
            return False
        except OSError as error:
            self._fail(path, "unable to look at it", error)
            return False
        if mode != wanted:
            self._fault(path, _KINDS.get(mode, "a file"), right)
        return mode == wanted

    def _check_tree(self, directory: str) -> None:
        """Sockets and devices can't be copied."""
        pending = [directory]
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    kinds = {
                        entry.path: entry.stat(follow_symlinks=False).st_mode & _KIND for entry in entries
                    }
            except OSError as error:
                self._fail(directory, "unable to read", error)
                continue
            for path, kind in sorted(kinds.items()):
                if kind == _DIRECTORY:
                    pending.append(path)
                elif kind not in _COPIED:
                    self._fault(path, _KINDS.get(kind, "a device"), "a file, a FIFO or a link")

    def _fault(self, place: str, what: str, right: str = "") -> None:
        self.faults.append(Fault(place, what, right))

    def _fail(self, place: str, what: str, error: OSError) -> None:
        self.failed += error.errno != ELOOP  # that is the sources' doing
        self._fault(place, f"{what}: {say.reason(error)}")
