"""Other processes of the notification programs: the one that they start, and the one that stays aside."""

from __future__ import annotations

import os

from initfs import process, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def start(argv: list[str]) -> int:
    """Start ARGV, found through PATH, as a child in our session; return its pid. say.Fatal 127 not found, 126 not run."""
    try:
        return os.posix_spawnp(argv[0], argv, os.environ, setsigdef=process.RESTORED)
    except FileNotFoundError as error:
        raise say.unable(f"run {argv[0]}", error, say.NOT_FOUND) from error
    except OSError as error:
        raise say.unable(f"run {argv[0]}", error, say.CANNOT_EXEC) from error


def aside(work: Callable[[], int], *, direct: bool) -> None:
    """Have WORK done by a process of its own and return: this process, whose pid the supervisor knows, goes on to exec.

    DIRECT: by a child, which the program to come must reap. Otherwise by a grandchild, which nobody has to know of.
    """
    pid = os.fork()
    if pid:
        if not direct:
            os.waitpid(pid, 0)
        return
    if direct or not os.fork():
        os._exit(_done(work))
    os._exit(0)


def _done(work: Callable[[], int]) -> int:
    """The exit code of WORK, which must not return into the program that was forked, whatever it raises."""
    try:
        return work()
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return fatal.code
    except OSError as error:
        say.fatal(f"unable to go on: {say.reason(error)}")
        return say.TEMPORARY
    except BaseException as error:  # noqa: BLE001 nothing may pass
        say.fatal(f"bug: {error!r}")
        return say.BUG
