"""Debian packages unpacked: which of them has which path of the target, and what the paths' content is."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from board.apt import File

# What no image wants of a package that is packed whole
TRIMMED = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/lintian/",
           "/usr/share/bug/", "/usr/share/bash-completion/", "/usr/include/", "/usr/lib/systemd/", "/etc/init.d/")  # fmt: skip
DOC = "/usr/share/doc/"


def merged(path: str) -> str:
    """Return where a package's path is in the image: all below /usr, and sbin is bin (docs/image.md)."""
    for old, new in (
        ("/bin/", "/usr/bin/"),
        ("/sbin/", "/usr/bin/"),
        ("/usr/sbin/", "/usr/bin/"),
        ("/lib/", "/usr/lib/"),
        ("/lib64/", "/usr/lib64/"),
    ):
        if path.startswith(old):
            return new + path.removeprefix(old)
    return path


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link of a package."""

    package: str
    path: Path  # in the cache


class Packages:
    """An index over unpacked packages, by merged path. The first package that has a path wins: they do not overlap."""

    def __init__(self, trees: Sequence[tuple[File, Path]]) -> None:
        self.entries: dict[str, Entry] = {}
        self.trees = {file.package: tree for file, tree in trees}
        self.files = {file.package: file for file, _ in trees}
        for package, tree in self.trees.items():
            for path in walk(tree):
                self.entries.setdefault(merged(path), Entry(package, Path(f"{tree}{path}")))

    def find(self, path: str) -> Entry | None:
        """Return the regular file a path leads to, through links, within the packages."""
        for _ in range(8):
            path = merged(posixpath.normpath(path))
            entry = self.entries.get(path)
            if entry is None or not entry.path.is_symlink():
                return entry
            path = posixpath.join(posixpath.dirname(path), os.readlink(entry.path))
        return None

    def content(self, package: str) -> Iterator[tuple[str, Entry]]:
        """Return a package's paths, without what no image wants."""
        for path, entry in self.entries.items():
            if entry.package == package and not path.startswith(TRIMMED):
                yield path, entry

    def copyright(self, package: str) -> str:
        """Return a package's copyright text. Its folder may be a link to that of another package."""
        tree = self.trees[package]
        folder = tree / DOC[1:] / package
        name = os.path.basename(os.readlink(folder)) if folder.is_symlink() else package
        for place in (
            folder / "copyright",
            *(other / DOC[1:] / name / "copyright" for other in self.trees.values()),
        ):
            if place.is_file():
                return place.read_text(errors="replace")
        return ""

    def newest(self) -> int:
        """Return the time of the newest file (seconds since 1970): a lower bound for now that is part of the input."""
        times = [entry.path.lstat().st_mtime for path, entry in self.entries.items() if path.startswith(DOC)]
        return int(max(times, default=0))


def walk(tree: Path) -> Iterator[str]:
    """Return the paths of a tree's files and links, absolute as on the target; modules of kernels are not listed."""
    for folder, folders, files in os.walk(tree):
        inside = folder.removeprefix(str(tree))
        folders[:] = sorted(
            name for name in folders if f"{inside}/{name}" not in {"/usr/lib/modules", "/lib/modules"}
        )
        for name in (*files, *(name for name in folders if os.path.islink(f"{folder}/{name}"))):
            yield f"{inside}/{name}"
