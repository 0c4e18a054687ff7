"""Where an image's bytes go: by group and by package, as they lie in memory and about as they are packed."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import cpio, host
from board.tree import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from board.build import Image


@dataclass(frozen=True, slots=True)
class Line:
    """One row: so many files, bytes, and bytes of the packed image."""

    name: str
    files: int
    plain: int
    packed: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """An image's sizes in bytes. `pieces`: name, unpacked, packed: these are exact, the rows' packed is a share."""

    kernel: int
    initramfs: int
    modules: int  # of it, kernel modules
    pieces: tuple[tuple[str, int, int], ...]
    groups: tuple[Line, ...]
    packages: tuple[Line, ...]


def measure(image: Image) -> Sizes:
    """Read an image's manifest and initramfs. Raises Failure if the archive cannot be read."""
    manifest = json.loads(image.manifest.read_text())
    plain = host.run(["zstd", "-dqc", str(image.initramfs)], what="read the image")
    contents = cpio.read(plain)
    rows = [
        (row["group"], row["package"], contents[row["path"]])
        for row in manifest["files"]
        if row["kind"] == "file"
    ]
    total = image.initramfs.stat().st_size
    pieces = tuple((piece["name"], piece["bytes"], piece["compressed"]) for piece in manifest["pieces"])
    return Sizes(
        kernel=manifest["kernel"]["size"],
        initramfs=total,
        modules=sum(small for name, _, small in pieces if name == "modules"),
        pieces=pieces,
        groups=tuple(
            sorted(lines(rows, total, lambda row: row[0]), key=lambda line: GROUPS.index(line.name))
        ),
        packages=tuple(sorted(lines(rows, total, lambda row: row[1]), key=lambda line: -line.plain)),
    )


def lines(
    rows: Iterable[tuple[str, str, bytes]], total: int, key: Callable[[tuple[str, str, bytes]], str]
) -> list[Line]:
    """Add the rows up by key. The packed size is shared out by how well a quick compressor does on each part."""
    parts: dict[str, list[bytes]] = {}
    for row in rows:
        parts.setdefault(key(row), []).append(row[2])
    quick = {name: len(zlib.compress(b"".join(part), 6)) for name, part in parts.items()}
    scale = total / (sum(quick.values()) or 1)
    return [
        Line(name, len(part), sum(map(len, part)), round(quick[name] * scale)) for name, part in parts.items()
    ]


def text(name: str, sizes: Sizes) -> str:
    """Return the tables for people, in kB (1000 bytes)."""
    head = (
        f"{name}: kernel {sizes.kernel / 1000:.0f} kB, initramfs {sizes.initramfs / 1000:.0f} kB packed, "
        f"{(sizes.initramfs - sizes.modules) / 1000:.0f} kB without kernel modules"
    )
    return "\n".join([head, "", *table("group", sizes.groups), "", *table("package", sizes.packages)])


def table(title: str, rows: Iterable[Line]) -> list[str]:
    """Return the rows in aligned columns."""
    rows = list(rows)
    width = max(len(title), *(len(row.name) for row in rows))
    return [
        f"{title:{width}}  files   plain kB  packed kB (about)",
        *(
            f"{row.name:{width}}  {row.files:5}  {row.plain / 1000:9.1f}  {row.packed / 1000:9.1f}"
            for row in rows
        ),
    ]


def plain(sizes: Sizes) -> Mapping[str, object]:
    """Return the sizes as JSON wants them."""
    return {
        "kernel": sizes.kernel,
        "initramfs": sizes.initramfs,
        "modules": sizes.modules,
        "groups": {
            line.name: {"files": line.files, "bytes": line.plain, "packed": line.packed}
            for line in sizes.groups
        },
        "packages": {
            line.name: {"files": line.files, "bytes": line.plain, "packed": line.packed}
            for line in sizes.packages
        },
    }
