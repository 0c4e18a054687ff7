"""What to do about each mount at the end of the machine."""

from __future__ import annotations

from initfs import files, kernel, say

KEPT = ("/", "/dev", "/proc", "/sys", "/run")  # needed to the last, and in memory
TABLE_SIZE = 1 << 20


def mounted(table: str) -> list[str]:
    """The mount points of a /proc/mounts TABLE, in the order of their mounting, unescaped as proc(5) says."""
    return [_unescape(line.split(" ")[1]) for line in table.splitlines() if line.count(" ") > 1]


def _unescape(word: str) -> str:
    head, *parts = word.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)


def to_unmount(points: list[str]) -> list[str]:
    """The latest first, and of those that are kept only the later mounts on top of the first."""
    found, seen = [], set()
    for point in points:
        if point not in KEPT or point in seen:
            found.append(point)
        seen.add(point)
    return found[::-1]


def unmount_all() -> int:
    """Unmount everything, or make it read-only when it is busy; the root too ends read-only. How many could not be unmounted."""
    try:
        table = (files.read("/proc/mounts", size=TABLE_SIZE) or b"").decode(errors="surrogateescape")
    except OSError as error:
        say.warning(f"unable to read the mounts: {say.reason(error)}")
        return 1
    failures = 0
    for point in to_unmount(mounted(table)):
        try:
            kernel.unmount(point)
        except OSError as error:
            failures += 1
            say.warning(f"unable to unmount {point}: {say.reason(error)}; making it read-only")
            files.tried(f"remount {point} read-only", lambda point=point: kernel.remount_read_only(point))  # type: ignore[misc]
    files.tried("remount / read-only", lambda: kernel.remount_read_only("/"))
    return failures
