"""From one link of a chain to the next: in this process when it is one of ours, by execve(2) otherwise.

Source: `spec/chainloading.md` 3.0 and 3.10. A separate process would have cost each link an interpreter's start; nobody
can tell the difference, because all that a link may change belongs to the process: its environment, its descriptors,
its identity. What a link must keep to, and what is kept here for all of them, is that everything else passes untouched.
"""

from __future__ import annotations

import os
import sys
from errno import EACCES, ENOENT, ENOTDIR

from initfs import process, say, signals
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PATH = "/usr/bin:/bin"

_ELSEWHERE = (ENOENT, ENOTDIR, EACCES)  # execvp(3) goes on looking after these


class _Chain:
    """PATH as it was when the present link began: a link that changes PATH is itself still found by the old one.

    So do the originals, where that PATH is the process's own and the changed one is only handed to execve(2).
    """

    path = os.environ.get("PATH", DEFAULT_PATH)


at_exec: list[
    Callable[[], None]
] = []  # changes that Python itself could not live with, made just before the exec


def run(argv: list[str], usage_line: str) -> int:
    """Run the rest of a command line. Raises Fatal: 100 when there is none, 126 or 127 when it cannot be executed."""
    if not argv:
        raise say.usage(usage_line)
    if argv[0] == "initfs" and ours(argv[1:]):
        argv = argv[1:]
    if not ours(argv):
        raise execute(argv[0], argv)
    # One link is two frames, and a long script has many links; since Python 3.11 frames are no C stack.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2000 + 8 * len(argv)))
    _Chain.path = os.environ.get("PATH", DEFAULT_PATH)
    say.program = argv[0]
    module = __import__(PROGRAMS[argv[0]], fromlist=["main"])
    return int(module.main(argv))


def execute(file: str, argv: list[str]) -> say.Fatal:
    """Replace this process by FILE, found through PATH unless it has a slash, with the arguments ARGV.

    Returns only when that failed: the Fatal to raise, 127 when there is no such program, 126 when it does not run.
    """
    for change in at_exec:
        change()
    signals.default(*process.RESTORED)
    kept: OSError = FileNotFoundError(ENOENT, os.strerror(ENOENT))
    directories = _Chain.path.split(":") if "/" not in file else [""]
    for directory in directories if file else ():
        try:
            os.execve(os.path.join(directory, file), argv, os.environ)
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                kept = error
                break
            if error.errno == EACCES:
                kept = error
    code = say.NOT_FOUND if kept.errno == ENOENT else say.CANNOT_EXEC
    return say.unable(f"run {file}", kept, code)


def ours(argv: list[str]) -> bool:
    """Whether a command line begins with a loader that can run in this process."""
    return bool(argv) and PROGRAMS.get(argv[0], "").startswith(
        ("initfs.chain.", "initfs.notify.", "initfs.local.")
    )
