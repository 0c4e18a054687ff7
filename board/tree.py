"""The root file system as values: records of what is where, collected in a tree that allows no doubt.

Paths are absolute and normal (`/usr/bin/initfs`). Two records for one path are an error that names both; a
record without its parent directory gets it made. Nothing here reads or writes a disk.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the records are for, in the order `inv size` shows them.
GROUPS = ("interpreter", "stdlib", "libraries", "busybox", "ours", "services", "system", "modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every record has. `package` is where it came from, `group` what it is for."""

    path: str
    mode: int = 0o644  # permissions only; the kind is the record's class
    uid: int = 0
    gid: int = 0
    package: str = "initfs"
    group: str = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory(Record):
    """A directory."""

    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Record):
    """A regular file with its content."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Record):
    """A symbolic link."""

    mode: int = 0o777
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """A device: `kind` is "c" or "b" (mknod(1))."""

    kind: str
    major: int
    minor: int


class Tree:
    """Records by path."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.by_path: dict[str, Record] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add a record. Raises Failure if the path is not a normal one, or taken."""
        # normpath leaves two slashes at the beginning: POSIX gives them a meaning
        if (
            not record.path.startswith("/")
            or posixpath.normpath(record.path) != record.path
            or record.path[1:2] in {"", "/"}
        ):
            raise Failure(f"put {record.path!r} into the image", "this is not an absolute, normal path")
        if other := self.by_path.get(record.path):
            raise Failure(f"put {describe(record)} into the image", f"{describe(other)} is there already")
        self.by_path[record.path] = record

    def update(self, records: Iterable[Record]) -> None:
        """Add several records."""
        for record in records:
            self.add(record)

    def __contains__(self, path: str) -> bool:
        """Say whether there is a record for the path."""
        return path in self.by_path

    def records(self) -> list[Record]:
        """Return all records in path order, so each parent before its children, with missing parents made."""
        everything = dict(self.by_path)
        for record in self.by_path.values():
            for parent in parents(record.path):
                above = everything.setdefault(parent, Directory(path=parent))
                if not isinstance(above, Directory):
                    raise Failure(f"put {describe(record)} into the image", f"{describe(above)} is above it")
        return [everything[path] for path in sorted(everything, key=lambda path: path.split("/"))]


def parents(path: str) -> list[str]:
    """Return the directories above a path, the nearest first, without the root."""
    above = []
    while (path := posixpath.dirname(path)) != "/":
        above.append(path)
    return above


def describe(record: Record) -> str:
    """Say what a record is: `file /usr/bin/x (of busybox)`."""
    return f"{type(record).__name__.lower()} {record.path} (of {record.package})"
