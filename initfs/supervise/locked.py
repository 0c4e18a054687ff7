"""Waits for the lock on a descriptor, then becomes the program: `lock-fd` when a former instance still holds the lock."""

from __future__ import annotations

import fcntl

from initfs import process, say

USAGE = "FD program..."


def main(argv: list[str]) -> int:
    fcntl.flock(int(argv[1]), fcntl.LOCK_EX)
    raise process.execute(argv[2:])


if __name__ == "__main__":
    import sys

    try:
        main(sys.argv)
    except (say.Fatal, OSError) as failed:
        say.fatal(str(failed))
        sys.exit(say.TEMPORARY)
