"""umountall: unmount all that can be, the latest first; what is busy becomes read-only. The exit code is how many would not go.

Source: `spec/init.md` 7.7. What the machine needs to its last breath stays: /, /dev, /proc, /sys and /run.
"""

from __future__ import annotations

from initfs import say
from initfs.pid1 import mounts

USAGE = "umountall"
MOST = 99  # so that 100 and above keep their meaning


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise say.usage(USAGE)
    return min(mounts.unmount_all(), MOST)
