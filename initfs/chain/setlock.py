"""setlock: hold a lock on a file for as long as the next program runs.

Source: `spec/chainloading.md` 3.4. A record lock belongs to the process: it survives exec, its children do not get it.
-x, of runit's program, makes all trouble a silent success.
"""

from __future__ import annotations

import fcntl
import os

from initfs import options, say
from initfs.chain import descriptors
from initfs.chain import next as chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

USAGE = "setlock [-n | -N] [-t ms] [-d fd] [-r | -w] [-x | -X] file prog..."
WAIT, AT_ONCE = -1, 0


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "nNt:d:rwxX", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    shared = silent = False
    patience, target = WAIT, -1
    for letter, text in found:
        match letter:
            case "n" | "N":
                patience = AT_ONCE if letter == "n" else WAIT
            case "t":
                patience = options.number(text, USAGE)
            case "d":
                target = descriptors.number(text, USAGE)
            case "r" | "w":
                shared = letter == "r"
            case _:
                silent = letter == "x"
    try:
        lock(rest[0], shared=shared, patience=patience, target=target)
    except say.Fatal:
        if silent:
            return say.OK
        raise
    if silent and not chain.ours(rest[1:]):
        chain.execute(rest[1], rest[1:])
        return say.OK
    return chain.run(rest[1:], USAGE)


def lock(path: str, *, shared: bool, patience: int, target: int) -> None:
    """Take the lock and keep it in descriptor TARGET (-1: whichever), which the next program inherits.

    PATIENCE in milliseconds, or WAIT. Raises Fatal 1 when somebody else has it, 111 when the file cannot be opened.
    """
    try:
        access = os.O_RDONLY if shared else os.O_WRONLY
        fd = os.open(path, access | os.O_CREAT | os.O_NONBLOCK, 0o644)  # a FIFO must not hang us
    except OSError as error:
        raise say.unable(f"open {path}", error) from None
    if target not in (-1, fd):
        # Before the lock is taken: closing any descriptor of a file drops all record locks that the process has on it.
        descriptors.move(target, fd)
        fd = target
    os.set_inheritable(fd, True)
    os.set_blocking(fd, True)
    try:
        _take(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, patience)
    except OSError as error:
        held = isinstance(error, (BlockingIOError, PermissionError, _TimedOut))
        raise say.unable(f"lock {path}", error, say.NO if held else say.TEMPORARY) from None


class _TimedOut(OSError):
    """The lock was not given in time."""


def _take(fd: int, kind: int, patience: int) -> None:
    if patience <= 0:
        fcntl.lockf(fd, kind | (fcntl.LOCK_NB if patience == AT_ONCE else 0))
        return

    def stop(_signum: int, _frame: object) -> None:
        raise _TimedOut("timed out")

    # fcntl(2) has no timeout; the alarm's exception leaves it, also when the alarm comes before the call.
    old = _signal.signal(_signal.SIGALRM, stop)
    try:
        _signal.setitimer(_signal.ITIMER_REAL, patience / 1000)
        fcntl.lockf(fd, kind)
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.signal(_signal.SIGALRM, old)
