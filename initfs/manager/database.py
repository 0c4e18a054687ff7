"""Compiled databases on disk: a directory with `db`, `lock`, `servicedirs/` and `scripts/`, written whole and then renamed."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.manager import codec, disk, servicedirs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initfs.manager.model import Database, Definition

UNKNOWN, INVALID, WRONG_TYPE = (
    3,
    4,
    5,
)  # exit codes: no such name; a database that can't be used; a service of another type
MOST = 1 << 28  # bytes


def load(compiled: str) -> Database:
    """The database in the directory COMPILED. say.Fatal 4 when it is damaged or of another format, 111 when it can't be read."""
    path = f"{compiled}/db"
    try:
        data = files.read(path, size=MOST)
    except OSError as error:
        raise say.unable(f"read {path}", error) from error
    if data is None:
        raise say.Fatal(say.TEMPORARY, f"unable to read {path}: there is no such file")
    try:
        return codec.decode(data)
    except codec.Invalid as error:
        raise say.Fatal(INVALID, f"invalid service database {path}: {error}") from error


def create(
    compiled: str, database: Database, definitions: Sequence[Definition], *, blocking: bool = False
) -> None:
    """Make the directory COMPILED: built under another name, then renamed. OSError when it can't be made; nothing is left then."""
    new = disk.temporary(compiled)
    disk.remove_tree(new)
    try:
        os.mkdir(new, 0o755)
        servicedirs.write(new, database, definitions, blocking=blocking)
        disk.write(f"{new}/lock", b"")
        save(new, database)
        os.rename(new, compiled)
    except BaseException:
        disk.remove_tree(new)
        raise


def save(compiled: str, database: Database) -> None:
    """Replace the file `db`, so that a reader finds the old one or the new one."""
    path = f"{compiled}/db"
    new = disk.temporary(path)
    try:
        disk.write(new, codec.encode(database))
        fd = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, path)
    except BaseException:
        files.remove(new)
        raise
