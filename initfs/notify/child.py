"""Other processes of the notification programs: the one that they start, and the one that stays aside."""

from __future__ import annotations

import os
import sys

from initfs import process, say, signals
from initfs.chain import next as chain  # also gives back the environment as it was handed to us
from initfs.chain.child import fork
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

become = chain.run  # the rest of a command line instead of this program: (words, usage line) -> exit code


def start(argv: list[str]) -> int:
    """Start ARGV as a child in our session; return its pid. say.Fatal 127 not found, 126 not run.

    A name of ours is ours, whatever PATH says, and costs a fork instead of an interpreter's start.
    """
    if argv[0] in PROGRAMS:
        return fork(lambda: _run(argv))
    try:
        return os.posix_spawnp(argv[0], argv, os.environ, setsigdef=process.RESTORED)
    except FileNotFoundError as error:
        raise say.unable(f"run {argv[0]}", error, say.NOT_FOUND) from error
    except OSError as error:
        raise say.unable(f"run {argv[0]}", error, say.CANNOT_EXEC) from error


def _run(argv: list[str]) -> int:
    from initfs.main import run

    signals.wake(-1)  # the parent's loop is not the child's
    code = run(argv)
    sys.stdout.flush()
    return code


def aside(work: Callable[[], int], *, direct: bool) -> None:
    """Have WORK done by a process of its own and return: this process, whose pid the supervisor knows, goes on to exec.

    DIRECT: by a child, which the program to come must reap. Otherwise by a grandchild, which nobody has to know of.
    """

    def detach() -> int:
        fork(work)
        return say.OK

    if direct:
        fork(work)
    else:
        os.waitpid(fork(detach), 0)
