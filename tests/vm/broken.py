"""Images that are broken on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import cpio
from board.tree import Link

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from board.build import Image


@dataclass(frozen=True)
class Broken:
    kernel: Path
    initramfs: Path


def replaced(image: Image, links: Mapping[str, str], folder: Path) -> Broken:
    """Return the image with these paths made links to somewhere else.

    The kernel unpacks archives one after the other, and the later one wins. One that is not compressed has to begin at a
    multiple of four bytes; zeros before it are skipped.
    """
    records = [Link(path=path, target=target) for path, target in links.items()]
    whole = folder / "initramfs"
    whole.write_bytes(cpio.padded(image.initramfs.read_bytes()) + cpio.archive(records, mtime=0))
    return Broken(image.kernel, whole)
