"""runsvchdir: have runsvdir serve another directory, in one step: the link `current` is replaced, `previous` keeps the former.

Source: `spec/supervision.md` 1.9. runsvdir hears of the new link by itself.
"""

from __future__ import annotations

import os

from initfs import files, say

USAGE = "runsvchdir dir"
BASE = "/etc/runit/runsvdir"


def main(argv: list[str]) -> int:
    if len(argv) != 2 or argv[1].startswith("-"):
        raise say.usage(USAGE)
    base = os.environ.get("RUNSVDIR") or BASE
    switch(base, argv[1])
    say.info(f"{argv[1]}: now current")
    return say.OK


def switch(base: str, name: str) -> None:
    """Make NAME the current directory below BASE; say.Fatal 111 when it can't be."""
    if not name or name.startswith("."):
        raise say.Fatal(say.TEMPORARY, f"{name!r} is no directory to switch to: it must not start with a dot")
    try:
        at = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.close(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at))
    except OSError as error:
        raise say.unable(f"open {os.path.join(base, name)}", error) from error
    try:
        former = _target(at)
        if former:
            _point("previous", former, at)
        _point("current", name, at)
    except OSError as error:
        raise say.unable(f"switch {base}/current", error) from error
    finally:
        os.close(at)


def _target(at: int) -> str:
    """Where `current` leads; "" when there is none yet."""
    try:
        return os.readlink("current", dir_fd=at)
    except FileNotFoundError:
        return ""


def _point(link: str, target: str, at: int) -> None:
    """Make LINK lead to TARGET, atomically."""
    files.remove(f"{link}.new", at=at)
    os.symlink(target, f"{link}.new", dir_fd=at)
    os.rename(f"{link}.new", link, src_dir_fd=at, dst_dir_fd=at)
