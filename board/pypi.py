"""Python packages that Debian has too old, or not at all: from the environment that builds, so the image has what the tests ran.

They are pure Python: any host's copy serves any target. `pyproject.toml` says which versions; the licence is what the package
itself declares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from board.closure import Module
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAMES = ("pyroute2", "pyudev")
# Packages whose own __init__ is never run on the target: initfs/network/netlink.py takes only modules below it.
HOLLOW = ("pyroute2",)
# Modules that are imported by a name that is put together at run time.
PLUGINS = ("pyroute2.netlink.rtnl.ifinfmsg.plugins",)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed package."""

    name: str
    version: str
    licence: str
    root: Path


def distributions() -> dict[str, Distribution]:
    """Return the packages by name. Raises Failure when one is not installed, or has compiled modules."""
    return {name: distribution(name) for name in NAMES}


def distribution(name: str) -> Distribution:
    """Return one of them."""
    try:
        about = metadata.distribution(name)
        spec = find_spec(name)
    except (metadata.PackageNotFoundError, ModuleNotFoundError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise Failure(
            f"find the Python package {name}", "it is not installed", "./inv installs it into .venv"
        )
    root = Path(next(iter(spec.submodule_search_locations)))
    if list(root.rglob("*.so")):
        raise Failure(f"pack the Python package {name}", "it has compiled modules, which are this host's")
    return Distribution(name, about.version, licence(about.metadata), root)


def licence(about: metadata.PackageMetadata) -> str:
    """Return what the package declares: an SPDX expression, else the first line of its licence, else its classifiers."""
    fields: Mapping[str, list[str]] = {key: about.get_all(key) or [] for key in set(about)}
    for key in ("License-Expression", "License"):
        for text in fields.get(key, []):
            if text.strip():
                return text.strip().split("\n")[0]
    kinds = [text.rpartition(":: ")[2] for text in fields.get("Classifier", []) if text.startswith("License")]
    return " AND ".join(sorted(kinds)) or "see the package"


def find(name: str, found: Mapping[str, Distribution]) -> Module | None:
    """Look a module up in the packages."""
    top, *rest = name.split(".")
    if top not in found:
        return None
    path = found[top].root.joinpath(*rest)
    if (path / "__init__.py").is_file():
        return Module(name, path / "__init__.py", package=True)
    source = path.with_name(f"{path.name}.py")
    if source.is_file():
        return Module(name, source, package=False)
    compiled = next(iter(sorted(path.parent.glob(f"{path.name}.*.so"))), None)
    return Module(name, compiled, package=False) if compiled else None


def plugins(found: Mapping[str, Distribution]) -> Iterator[str]:
    """Return the names of modules that no import statement names."""
    for package in PLUGINS:
        top, *rest = package.split(".")
        for path in sorted(found[top].root.joinpath(*rest).glob("*.py")):
            if path.stem != "__init__":
                yield f"{package}.{path.stem}"


def key(found: Iterable[Distribution]) -> list[str]:
    """Return what changes whenever a byte of the packages does."""
    return [
        f"{each.name} {path.relative_to(each.root.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for each in found
        for path in files(each)
    ]


def files(about: Distribution) -> list[Path]:
    """Return a package's modules, which may be a single one beside where its folder would be."""
    found = about.root.rglob("*") if about.root.is_dir() else about.root.parent.glob(f"{about.root.name}.*")
    return sorted(path for path in found if path.suffix in {".py", ".so"} and path.is_file())
