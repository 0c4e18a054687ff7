"""Firmware and boot loaders out of Debian packages: `PACKAGE:PATH` in a board's file is one of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import store
from board.apt import Root
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from board.apt import File
    from board.model import Board, Disk

NAMED = re.compile(r"\{([^{}:]+:[^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Firmware:
    """Unpacked packages by name."""

    trees: Mapping[str, Path]
    files: tuple[File, ...] = ()

    def find(self, name: str) -> Path:
        """Return the file called PACKAGE:PATH. Raises Failure, naming the package that lacks it."""
        package, _, path = name.partition(":")
        if package not in self.trees:
            raise Failure(
                f"find {path}",
                f"package {package} is not in the board's list",
                "see packages of its [[disks]]",
            )
        found = self.trees[package] / path.lstrip("/")
        if not found.is_file():
            raise Failure(f"find {path}", f"package {package} has no such file")
        return found

    def expand(self, word: str) -> str:
        """Return the word with each {PACKAGE:PATH} in it replaced by that file's path."""
        return NAMED.sub(lambda match: str(self.find(match[1])), word)


def firmware(board: Board, disk: Disk, *, refresh: bool = False) -> Firmware:
    """Have a disk's firmware packages. Raises Failure: there is no such package, or it cannot be downloaded."""
    if not disk.packages:
        return Firmware({})
    root = Root(board.suite, board.architecture)
    files = store.resolve(root, sorted(disk.packages), refresh=refresh)
    store.fetch(root, files)
    return Firmware({file.package: store.unpack(root, file) for file in files}, tuple(files))
