"""The last images of a board: kept with their manifests, so that one can go back, and see what changed.

    build/BOARD/history/ID/{CHAIN.img,CHAIN.json,manifest.json}        ID is the first 12 digits of the image's checksum

An image is a hard link to the one in build/BOARD, which is replaced and never changed in place.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from board import host
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEPT = 5


def keep(image: Path, manifest: Path) -> None:
    """Keep a new image and forget the oldest beyond five of its chain."""
    record = image.with_suffix(".json")
    name = json.loads(record.read_text())["sha256"][:12]
    folder = image.parent / "history" / name
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in ((image, image.name), (record, record.name), (manifest, "manifest.json")):
        (folder / target).unlink(missing_ok=True)
        os.link(source, folder / target) if source is image else shutil.copy(source, folder / target)
    os.utime(folder)
    ages = sorted(
        (path for path in folder.parent.iterdir() if (path / image.name).exists()),
        key=lambda path: path.stat().st_mtime_ns,
    )
    for path in ages[:-KEPT]:
        host.remove(path)


def find(board: str, name: str) -> Path:
    """Return the folder of a kept image, by the beginning of its id, or by its age: 0 is the newest. Raises Failure."""
    home = host.ROOT / "build" / board / "history"
    folders = sorted(home.iterdir(), key=lambda path: -path.stat().st_mtime_ns) if home.is_dir() else []
    if name.isdecimal() and len(name) < 3 and int(name) < len(folders):
        return folders[int(name)]
    found = [path for path in folders if name and path.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = " ".join(path.name for path in folders) or "none"
    why = "several begin so" if found else "there is no such image"
    raise Failure(f"find image {name!r} of {board}", why, f"kept, the newest first: {known}", usage=True)


@dataclass(frozen=True, slots=True)
class Content:
    """What an image is made of, as far as two can be compared: packages with versions, files with sizes and checksums."""

    packages: Mapping[str, str]
    files: Mapping[str, tuple[int, str]]


def content(folder: Path) -> Content:
    """Read a kept image's manifests. Raises Failure: they cannot be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        records = [
            json.loads(path.read_text()) for path in folder.glob("*.json") if path.name != "manifest.json"
        ]
    except (OSError, ValueError) as problem:
        raise Failure(f"read image {folder.name}", str(problem)) from None
    packages = {each["name"]: each["version"] for each in manifest["packages"]}
    files = {each["path"]: sized(each) for each in manifest["files"]}
    for record in records:
        packages.update({each["package"]: each["version"] for each in record["firmware"]})
        files.update({f"boot:{each['path']}": (each["bytes"], each["sha256"]) for each in record["files"]})
    return Content(packages, files)


def sized(row: Mapping[str, Any]) -> tuple[int, str]:
    """Return a manifest row's size and what tells its content from another."""
    return int(row.get("size", 0)), f"{row.get('sha256') or row.get('target', '')} {row['mode']}"


def difference(old: Content, new: Content) -> Iterator[str]:
    """Yield a line for each package and each file that is new, gone or changed, and one for the sum. Pure."""
    for name in sorted({*old.packages, *new.packages}):
        before, after = old.packages.get(name), new.packages.get(name)
        if before != after:
            yield f"package {name}: {before or '-'} -> {after or '-'}"
    total = 0
    for path in sorted({*old.files, *new.files}):
        was, now = old.files.get(path), new.files.get(path)
        if was == now:
            continue
        change = (now[0] if now else 0) - (was[0] if was else 0)
        total += change
        kind = "new" if was is None else "gone" if now is None else "changed"
        yield f"{kind:8} {path} {change:+d} bytes"
    yield f"all files: {total:+d} bytes"
