"""Where an image may be written to: what is known of a device or file, and why it would be wrong. The looking is here, the judging pure."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from board import host

SECTOR = 512  # the unit of /sys/class/block/*/size, whatever the device's own is


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A block device, or a file that stands for one."""

    path: str
    kind: str  # disk, partition, file, absent (a file will be made), or what else it is
    size: int = 0  # bytes
    model: str = ""
    mounted: tuple[str, ...] = ()  # where it, or a partition of it, is in use: mount points, swap, holders
    read_only: bool = False


def refusal(target: Target, size: int, wanted: str, board: str) -> str:
    """Say why an image of `size` bytes for the board `wanted` must not be written there; empty when it may. `board` is the image's."""
    if wanted != board:
        return f"the image is for {board}, not for {wanted}"
    if target.kind not in {"disk", "file", "absent"}:
        return f"{target.path} is a {target.kind}, not a disk"
    if target.mounted:
        system = " (the system runs from it)" if "/" in target.mounted else ""
        return f"{target.path} is in use: {' '.join(target.mounted)}{system}"
    if target.read_only:
        return f"{target.path} is read-only"
    if target.kind == "disk" and target.size < size:
        return f"{target.path} has {target.size} bytes, the image {size}"
    if target.kind == "file" and target.size not in {0, size}:
        return f"{target.path} is a file of {target.size} bytes, the image has {size}"
    return ""


def look(path: str, sys: str = "/sys", proc: str = "/proc") -> Target:
    """Find out what the path is."""
    real = os.path.realpath(path)
    try:
        about = os.stat(real)
    except FileNotFoundError:
        return Target(path=path, kind="absent")
    if stat.S_ISREG(about.st_mode):
        return Target(path=path, kind="file", size=about.st_size, read_only=not os.access(real, os.W_OK))
    if not stat.S_ISBLK(about.st_mode):
        return Target(path=path, kind="directory" if stat.S_ISDIR(about.st_mode) else "special file")
    node = Path(os.path.realpath(f"{sys}/dev/block/{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}"))
    if (node / "partition").exists():
        return Target(path=path, kind="partition")
    return Target(
        path=path,
        kind="disk",
        size=int((node / "size").read_text()) * SECTOR,
        model=" ".join(word(node / "device" / name) for name in ("vendor", "model", "name")).strip(),
        mounted=tuple(uses(node, proc)),
        read_only=word(node / "ro") == "1",
    )


def word(path: Path) -> str:
    """Return a one-line file's content, empty when there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def uses(node: Path, proc: str) -> list[str]:
    """Return how a disk and its partitions are in use."""
    parts = [node, *(child for child in sorted(node.iterdir()) if (child / "partition").exists())]
    numbers = {word(part / "dev") for part in parts}
    found = [
        holder.name
        for part in parts
        if (part / "holders").is_dir()
        for holder in (part / "holders").iterdir()
    ]
    for line in Path(f"{proc}/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] in numbers:
            found.append(fields[4])
    names = {f"/dev/{part.name}" for part in parts}
    swaps = Path(f"{proc}/swaps")
    lines = swaps.read_text().splitlines()[1:] if swaps.exists() else []
    return found + [f"swap on {line.split()[0]}" for line in lines if line.split()[0] in names]


def sizes(bytes_: int) -> str:
    """Return a size as people read it on a card."""
    return f"{bytes_ / 1e9:.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.0f} MB"


def writable(target: Target) -> None:
    """Raise Failure when the operating system would not let us write there."""
    if target.kind == "disk" and not os.access(target.path, os.W_OK):
        raise host.Failure(f"write to {target.path}", "permission denied", "run it as root")
