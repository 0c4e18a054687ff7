"""Service directories for an image: from their templates, by name (docs/image.md)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from board.host import Failure
from board.tree import Directory, File, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def template(name: str, known: Sequence[str]) -> str:
    """Return the directory an instance is made from: of that very name, or the only one with its prefix.

    `dhcp_eth0` is made from `dhcp_if`. Raises Failure: there is none, or more than one.
    """
    if name in known:
        return name
    prefix = name.partition("_")[0] + "_"
    found = [other for other in known if prefix != f"{name}_" and other.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    reason = (
        f"several begin with {prefix}: {' '.join(sorted(found))}"
        if found
        else "there is no such service directory"
    )
    raise Failure(f"find service {name!r}", reason, f"known: {' '.join(sorted(known))}")


def locate(name: str, folders: Sequence[Path]) -> Path:
    """Return the directory of a service or its template, in the first of the folders that has it."""
    known = {
        path.name: path
        for folder in reversed(folders)
        if folder.is_dir()
        for path in folder.iterdir()
        if path.is_dir()
    }
    path = known[template(name, sorted(known))]
    check(path)
    return path


def check(path: Path) -> None:
    """Refuse a service that could never start, in the image's build rather than on the target."""
    run = path / "run"
    if not run.exists():
        raise Failure(f"pack service {path.name}", "it has no run")
    if not os.access(run, os.X_OK):
        raise Failure(f"pack service {path.name}", "its run is not executable", f"chmod +x {path.name}/run")


def records(target: str, path: Path) -> Iterator[Record]:
    """Return a service directory's records below `target`, without its README and tests."""
    yield Directory(path=target, group="services")
    for child in sorted(path.iterdir()):
        if child.name == "README.md" or child.name.startswith("test") or child.name == "__pycache__":
            continue
        where = f"{target}/{child.name}"
        if child.is_symlink():
            yield Link(path=where, target=os.readlink(child), group="services")
        elif child.is_dir():
            yield from records(where, child)
        elif child.is_file():
            yield File(path=where, mode=mode(child), data=child.read_bytes(), group="services")
        else:
            raise Failure(f"pack service {path.name}", f"{child.name} is neither file, directory nor link")


def mode(path: Path) -> int:
    """Return a file's mode in the image: what matters is whether it is a program; a checkout's umask does not."""
    return 0o755 if os.access(path, os.X_OK) else 0o644
