"""A repository on disk: its stores, its reference database, its sets, and the databases that were made of them.

    stores      a path a line          user        whom the descriptor holder runs as
    lock        one at a time          reference   the database of all that the stores define
    sets/NAME   `level name` lines     committed/NAME/db, committed/NAME/made-from

Every file is replaced by a rename, every database by the rename of its directory. Source: `spec/service-manager.md` 6.10.
"""

from __future__ import annotations

import os
from binascii import crc32

from initfs import files, say
from initfs.manager import database, disk, locks
from initfs.manager.query import Index
from initfs.manager.repo import sets
from initfs.manager.resolve import resolve
from initfs.manager.source import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initfs.manager.model import Database, Definition

DEFAULT = "/var/lib/s6-rc/repository"
INCONSISTENT = 102
SUM = "reference/sum"  # of its tables, service directories and scripts
MOST = 1 << 24  # bytes of a file


class Repository:
    """An opened, locked repository."""

    def __init__(self, path: str, *, write: bool = True) -> None:
        """say.Fatal 102 when there is none, 111."""
        self.path = path
        if not os.path.isfile(f"{path}/stores"):
            raise say.Fatal(INCONSISTENT, f"{path} is not a repository; repo-init makes one")
        locks.take(path, locks.EXCLUSIVE if write else locks.SHARED, block=True)

    def stores(self) -> list[str]:
        return self._read("stores").split("\n")[:-1]

    def user(self) -> str:
        return self._read("user").strip()

    def index(self) -> Index:
        """The reference database. say.Fatal 102 before the first sync."""
        if not os.path.isdir(f"{self.path}/reference"):
            raise say.Fatal(INCONSISTENT, f"{self.path} has no reference database; repo-sync makes one")
        return Index(database.load(f"{self.path}/reference"))

    def names(self) -> list[str]:
        """The names of the sets."""
        return sorted(name for name in os.listdir(f"{self.path}/sets") if not name.startswith("."))

    def check(self, name: str, code: int = database.UNKNOWN) -> None:
        """say.Fatal CODE unless there is such a set."""
        if "/" in name or not os.path.isfile(f"{self.path}/sets/{name}"):
            raise say.Fatal(code, f"there is no set {name}")

    def named(self, name: str) -> dict[str, int]:
        """{service: level} of a set. say.Fatal 3, 102."""
        self.check(name)
        try:
            return sets.decode(self._read(f"sets/{name}"))
        except sets.Invalid as error:
            raise say.Fatal(INCONSISTENT, f"invalid set {name}: {error}") from None

    def levels(self, index: Index, name: str) -> dict[int, int]:
        """{number: level} of a set. say.Fatal 3, 102."""
        try:
            return sets.numbered(index, self.named(name))
        except sets.Invalid as error:
            raise say.Fatal(INCONSISTENT, f"invalid set {name}: {error}") from None

    def write_set(self, index: Index, name: str, levels: Mapping[int, int]) -> None:
        self.write(f"sets/{name}", sets.encode(index, levels))

    def write(self, file: str, text: str) -> None:
        try:
            new = f"{self.path}/{os.path.dirname(file)}/.{os.path.basename(file)}.new"
            disk.write(new, os.fsencode(text))
            os.rename(new, f"{self.path}/{file}")
        except OSError as error:
            raise say.unable(f"write {self.path}/{file}", error) from error

    def stamp(self, name: str) -> str:
        """What a committed database is made from: it is up to date as long as this is the same."""
        return f"{self._read(SUM).strip()} {crc32(os.fsencode(self._read(f'sets/{name}'))):08x}\n"

    def committed(self, name: str) -> str:
        """The directory of a set's committed database, "" when it is not up to date."""
        place = f"{self.path}/committed/{name}"
        if self._read(f"committed/{name}/made-from").split("\n")[0] + "\n" != self.stamp(name):
            return ""
        return f"{place}/db" if os.path.isdir(f"{place}/db") else ""

    def _read(self, file: str) -> str:
        try:
            return os.fsdecode(files.read(f"{self.path}/{file}", size=MOST) or b"")
        except OSError as error:
            raise say.unable(f"read {self.path}/{file}", error) from error

    def sync(self, verbosity: int, user: str | None = None) -> int:
        """Make the reference database anew and bring the sets in step; 0, or 1 when the stores are wrong, which is said."""
        definitions, made, code = gather(self.stores(), self.user() if user is None else user, verbosity)
        if code:
            return code
        new = f"{self.path}/.reference.new"
        disk.remove_tree(new)
        try:
            database.create(new, made, definitions)
            disk.write(f"{new}/{os.path.basename(SUM)}", b"%08x\n" % disk.tree_sum(new))
            disk.remove_tree(f"{self.path}/.reference.old")
            if os.path.isdir(f"{self.path}/reference"):
                os.rename(f"{self.path}/reference", f"{self.path}/.reference.old")
            os.rename(new, f"{self.path}/reference")
            disk.remove_tree(f"{self.path}/.reference.old")
        except OSError as error:
            raise say.unable(f"write {self.path}/reference", error) from error
        index = Index(made)
        for name in self.names():
            self.write_set(index, name, sets.synced(index, self.named(name)))
        return say.OK


def gather(stores: list[str], user: str, verbosity: int) -> tuple[list[Definition], Database, int]:
    """What all stores define: (definitions, database, exit code). Of a service that is in several stores the last one counts."""
    from initfs.manager import compile as compiling

    sources = Sources(say.warning if verbosity else lambda _text: None)
    for store in stores:
        sources.add(store)
    chosen: dict[str, Definition] = {}
    for one in sources.definitions:
        if one.name in chosen and verbosity:
            say.warning(f"{one.name}: {one.place} takes the place of {chosen[one.name].place}")
        chosen.pop(one.name, None)
        chosen[one.name] = one
    made, faults = resolve(list(chosen.values()), user, sources.broken)
    code = compiling.report(sources, [*sources.faults, *faults])
    return list(chosen.values()), made, say.NO if code else say.OK
