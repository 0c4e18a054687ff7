"""Service directories for an image: from their templates, by name (docs/image.md)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from board.host import Failure
from board.tree import Directory, File, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


PLACES = (
    "if",
    "tty",
)  # the part of a template's name that an instance's replaces: dhcp_if, dhcp_if_pinger, getty_tty


def template(name: str, known: Sequence[str]) -> str:
    """Return the directory an instance is made from: of that very name, or the template that its name fits most closely.

    `dhcp_eth0` is made from `dhcp_if`, `dhcp_eth0_pinger` from `dhcp_if_pinger`. Raises Failure: there is none.
    """
    if name in known:
        return name
    found = [other for other in known if fits(name, other)]
    if found:
        return max(found, key=len)
    raise Failure(
        f"find service {name!r}", "there is no such service directory", f"known: {' '.join(sorted(known))}"
    )


def fits(name: str, template: str) -> bool:
    """Say whether a name is that of an instance of the template: what stands for its place is not empty."""
    for place in PLACES:
        before, between, after = f"{template}_".partition(f"_{place}_")
        if between:
            head, tail = f"{before}_", f"_{after}".rstrip("_")
            return name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail)
    return False


def instances(folder: Path) -> list[str]:
    """Return the services in a folder that are copies of, or links to, templates there: who makes one wants it in the image."""
    known = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    templates = [name for name in known if any(f"_{place}_" in f"{name}_" for place in PLACES)]
    return [name for name in known if name not in templates and any(fits(name, other) for other in templates)]


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
    """Return a service directory's records below `target`, without its README, tests and requirements."""
    yield Directory(path=target, group="services")
    for child in sorted(path.iterdir()):
        if (
            child.name in {"README.md", "requirements.txt"}
            or child.name.startswith("test")
            or child.name == "__pycache__"
        ):
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
