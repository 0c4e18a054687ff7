"""QEMU of a newer Debian than the host's, for boards that the host's own has no model of: unpacked, not installed.

It runs by its own loader with its own libraries, as the build's Python does.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import TYPE_CHECKING

from board import busybox, host, store
from board.apt import Root
from board.architecture import architecture

if TYPE_CHECKING:
    from pathlib import Path

    from board.model import Board

SUITE = "trixie"
FILES = ("qemu-system-data", "seabios")  # firmware and tables that it reads


def command(board: Board) -> tuple[str, ...]:
    """Return how to start the board's emulator: nothing where the host's own will do. Raises Failure as downloads do."""
    if not board.qemu.version or version(board.qemu.emulator) >= board.qemu.version:
        return ()
    tree = unpacked(package(board.qemu.emulator))
    triplet = architecture(busybox.native()).triplet
    library = tree / "usr/lib" / triplet
    loader = next(iter(sorted(library.glob("ld-linux*.so.*"))))
    program = tree / "usr/bin" / board.qemu.emulator
    data = [f"{tree}/usr/share/{name}" for name in ("qemu", "seabios")]
    words = [
        str(loader),
        "--library-path",
        f"{library}:{library}/pulseaudio",
        "--argv0",
        str(program),
        str(program),
    ]
    return (*words, *(word for path in data for word in ("-L", path)))


def version(emulator: str) -> int:
    """Return the major version of the host's own emulator, 0 when there is none."""
    if not shutil.which(emulator):
        return 0
    said = host.run([emulator, "--version"], what=f"ask for {emulator}'s version").decode()
    found = re.search(r"version (\d+)", said)
    return int(found[1]) if found else 0


def package(emulator: str) -> str:
    """Return the package that the newer emulator is in."""
    return "qemu-system-arm" if emulator.endswith(("-arm", "-aarch64")) else "qemu-system-x86"


def unpacked(name: str) -> Path:
    """Return the tree of a package with all libraries that it needs, in the cache."""
    root = Root(SUITE, busybox.native())
    files = store.resolve(root, [f"+{name}", "+qemu-system-common", *FILES])
    key = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:32]
    path = host.cache() / "qemu" / f"{SUITE}-{key}"
    if not path.exists():
        store.fetch(root, files)
        with host.failing("unpack QEMU"), host.folder(path) as temporary:
            for file in files:
                host.run(
                    ["dpkg-deb", "--extract", store.place(file), temporary], what=f"unpack {file.package}"
                )
    return path
