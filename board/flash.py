"""Write a disk image to a card, a disk, or a file: refuse what would be wrong, copy what matters, read it back.

bmaptool copies only the blocks that the image has something in. The start of the data partition is cleared, so that the machine
makes a new file system there, unless the old data are to be kept.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from board import host
from board.disk import layout, target
from board.host import Failure
from initfs.disk import enlarge, place, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from board.disk.target import Target
    from board.model import Disk
    from board.report import Report
    from initfs.disk.table import Growth

PIECE = 1 << 20


def write(
    image: Path, disk: Disk, board: str, device: str, report: Report,
    *, confirm: Callable[[str], bool], keep_data: bool = False,
) -> int:  # fmt: skip
    """Write `image` to `device` and verify it; return the number of bytes that were written. Raises Failure before the first."""
    record = described(image)
    found = target.look(device)
    why = target.refusal(found, record["bytes"], board, record["board"])
    if why:
        raise Failure(f"write {image.name} to {device}", why, usage=True)
    target.writable(found)
    if not confirm(question(found, image, board)):
        raise Failure(f"write {image.name} to {device}", "nobody said yes", "--yes says so", usage=True)
    host.need(["bmap-tools"])
    if keep_data and found.kind != "absent":
        return around(image, found, record["bytes"], report)
    with report.step(f"write {image.name}"):
        if found.kind != "disk":
            sparse(found, record["bytes"])
        words = ["bmaptool", "--quiet", "copy", "--bmap", f"{image}.bmap", str(image), device]
        host.run(words, what=f"write {image.name} to {device}")
        clear(device, disk)
    with report.step("read it back"):
        return verify(image, device)


def around(image: Path, found: Target, size: int, report: Report) -> int:
    """Write what the image, of SIZE bytes, has before the data partition, and the table for a disk of this size.

    Nothing behind: there, its second GPT would be among the data. bmaptool would empty a file first.
    """
    growth = kept(image, max(found.size, size))
    limit = growth.start * table.SECTOR if growth else sys.maxsize
    with (
        report.step(f"write {image.name}"),
        host.failing(f"write to {found.path}"),
        image.open("rb") as source,
        open(found.path, "r+b") as written,
    ):
        if found.kind == "file":
            written.truncate(max(found.size, size))
        for offset, length in pieces(image, limit):
            source.seek(offset)
            written.seek(offset)
            written.write(source.read(length))
        written.flush()
        os.fsync(written.fileno())
    with report.step("read it back"):
        count = verify(image, found.path, limit)
    if growth:
        with host.failing(f"write to {found.path}"):
            enlarge.put(found.path, growth)
    return count


def kept(image: Path, size: int) -> Growth | None:
    """Return the table for a disk of SIZE bytes whose data stay, where the machine has made their partition larger than the image's."""
    try:
        return enlarge.planned(str(image), size // table.SECTOR, int(place.DATA))
    except table.Unclear:
        return None


def described(image: Path) -> dict[str, Any]:
    """Read what an image says of itself. Raises Failure: it is none of ours, or not whole."""
    try:
        record: dict[str, Any] = json.loads(image.with_suffix(".json").read_text())
        whole = image.stat().st_size == record["bytes"]
        _ = record["board"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise Failure(
            f"read {image}", f"it has no manifest beside it: {problem}", "inv image makes both"
        ) from None
    if not whole:
        raise Failure(f"read {image}", "its size is not that of its manifest", "inv image makes it anew")
    return record


def question(found: Target, image: Path, board: str) -> str:
    """Return what people are asked before everything on a disk is lost."""
    what = f"{found.model or found.kind}, {target.sizes(found.size)}" if found.size else "a new file"
    return f"write {image.name} of {board} to {found.path} ({what}); what is there is lost"


def asked(text: str) -> bool:
    """Ask the person at the terminal; nobody there says no."""
    if not sys.stdin.isatty():
        return False
    return input(f"inv: {text}. Type yes to go on: ").strip() == "yes"


def sparse(found: Target, size: int) -> None:
    """Have a file of the image's size, with nothing in it."""
    with host.failing(f"write {found.path}"), open(found.path, "wb") as file:
        file.truncate(size)


def clear(device: str, disk: Disk) -> None:
    """Let the data partition begin with zeros: the machine takes it for a new one."""
    with host.failing(f"write to {device}"), open(device, "r+b") as file:
        file.seek((disk.start + disk.boot) * layout.MIB)
        file.write(bytes(PIECE))
        file.flush()
        os.fsync(file.fileno())


def ranges(bmap: str) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) in bytes of what a block map says must be written. Source: bmaptool's format, version 2.0."""
    root = ET.fromstring(bmap)
    size, block = int(root.findtext("ImageSize", "0")), int(root.findtext("BlockSize", "4096"))
    for each in root.iterfind("BlockMap/Range"):
        first, _, last = (each.text or "").strip().partition("-")
        start = int(first) * block
        yield start, min((int(last or first) + 1) * block, size) - start


def pieces(image: Path, limit: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, bytes) of what an image has before LIMIT, none larger than PIECE."""
    for start, length in ranges(image.with_name(f"{image.name}.bmap").read_text()):
        end = min(start + length, limit)
        for offset in range(start, end, PIECE):
            yield offset, min(PIECE, end - offset)


def verify(image: Path, device: str, limit: int = sys.maxsize) -> int:
    """Read back and compare, up to LIMIT; return the number of bytes. Raises Failure naming the first offset that differs."""
    done = 0
    with host.failing(f"read {device}"), image.open("rb") as wanted, open(device, "rb") as found:
        # what is compared must come from the device, not from memory
        os.posix_fadvise(found.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for offset, size in pieces(image, limit):
            wanted.seek(offset)
            found.seek(offset)
            if wanted.read(size) != found.read(size):
                why = f"what is read back differs at {offset}"
                raise Failure(f"write {image.name} to {device}", why, "the card may be worn out, or a fake")
            done += size
    return done
