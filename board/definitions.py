"""The service manager's database for an image, compiled here of `services/definitions`, and these as a store (docs/service-manager.md)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from board import services
from board.host import Failure
from board.tree import Directory, File, Link, Record
from initfs.manager import database
from initfs.manager.resolve import resolve
from initfs.manager.source import Sources as Definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from board.ours import Sources

FOLDER = "definitions"
STORE = "/usr/share/initfs/definitions"  # for sets that somebody makes on the machine
TARGET, BOOT = "/etc/s6-rc/compiled/image", "/etc/s6-rc/compiled/current"
DEFAULT = "default"  # the bundle that stage 2 brings up


def records(sources: Sources) -> Iterator[Record]:
    """Return the definitions among our services, their database, and the link that a boot begins with; nothing without definitions.

    Raises Failure: the definitions are wrong, or there is no bundle `default` in them.
    """
    folder = sources.services / FOLDER
    if not folder.is_dir() or not any(path.is_dir() for path in folder.iterdir()):
        return
    with tempfile.TemporaryDirectory() as place:
        compiled = Path(place) / "compiled"
        compile_(folder, compiled)
        yield from walk(compiled, TARGET)
    yield Link(path=BOOT, target=os.path.basename(TARGET), group="services")
    # without `default`: a set has its own
    for record in walk(folder, STORE):
        if not f"{record.path}/".startswith(f"{STORE}/{DEFAULT}/"):
            yield record


def compile_(folder: Path, compiled: Path) -> None:
    """Compile a folder of definitions. Raises Failure."""
    found = Definitions(lambda _warning: None)
    found.add(str(folder))
    made, faults = resolve(found.definitions, broken=found.broken)
    wrong = [*found.faults, *faults]
    if wrong:
        raise Failure("compile the services' definitions", "\n  ".join(map(str, wrong)))
    if DEFAULT not in dict(made.bundles):
        raise Failure(
            "compile the services' definitions", f"there is no bundle {DEFAULT}", "stage 2 brings it up"
        )
    database.create(str(compiled), made, found.definitions)


def walk(directory: Path, target: str) -> Iterator[Record]:
    """Return a directory's records, without a README.md."""
    yield Directory(path=target, group="services")
    for path in sorted(directory.iterdir()):
        where = f"{target}/{path.name}"
        if path.name == "README.md":
            continue
        if path.is_symlink():
            yield Link(path=where, target=os.readlink(path), group="services")
        elif path.is_dir():
            yield from walk(path, where)
        else:
            yield File(path=where, mode=services.mode(path), data=path.read_bytes(), group="services")
