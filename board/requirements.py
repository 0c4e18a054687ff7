"""Python packages that a board or one of its services requires, installed by the board's cross environment, for the image.

A board lists them in its file (`requirements = ["msgpack==1.1.0"]`), a service in `requirements.txt` beside its `run`.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import TYPE_CHECKING

from board import crossenv, host, pypi, services
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from board.model import Board, Profile
    from board.ours import Sources
    from board.pypi import Distribution

FILE = "requirements.txt"


def wanted(board: Board, profile: Profile, sources: Sources) -> list[str]:
    """Return the requirements of the board and of all services in its image, each once."""
    found = list(board.requirements)
    for name in (*profile.early, *profile.services):
        path = services.locate(name.format(console=board.console), [sources.services, sources.ports]) / FILE
        if path.is_file():
            lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
            found += [line for line in lines if line]
    return list(dict.fromkeys(found))


def distributions(board: Board, requirements: list[str]) -> dict[str, Distribution]:
    """Return what they are and need, by the names that are imported; built and installed in the cache. Raises Failure."""
    if not requirements:
        return {}
    env = crossenv.crossenv(board)
    key = hashlib.sha256("\0".join((env.path.name, *requirements)).encode()).hexdigest()[:16]
    folder = host.cache() / "requirements" / f"{board.architecture}-{key}"
    if not folder.exists():
        with host.folder(folder) as temporary:
            crossenv.install(env, requirements, temporary)
    return read(folder)


def read(folder: Path) -> dict[str, Distribution]:
    """Return the packages that are installed in a folder, by the names that are imported."""
    found = {}
    for about in metadata.distributions(path=[str(folder)]):
        for name in tops(about):
            found[name] = pypi.Distribution(
                about.name, about.version, pypi.licence(about.metadata), folder / name
            )
    if not found:
        raise Failure(f"read the packages in {folder}", "there are none")
    return found


def tops(about: metadata.Distribution) -> Iterator[str]:
    """Yield the names of a package's modules and packages that are imported, from the list of its files."""
    seen = set()
    for file in about.files or []:
        first = file.parts[0]
        if (
            file.suffix in {".py", ".so"}
            and ".dist-info" not in first
            and first not in {"..", "__pycache__", "bin"}
        ):
            seen.add(first.partition(".")[0])
    yield from sorted(seen)


def modules(found: Mapping[str, Distribution]) -> Iterator[str]:
    """Yield the name of every module of the packages: all of them are packed."""
    for about in found.values():
        for path in pypi.files(about):
            parts = path.relative_to(about.root.parent).with_name(path.name.partition(".")[0]).parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
