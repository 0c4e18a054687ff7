"""Signals by name and number, without the `signal` module, whose enumerations cost process 1 three milliseconds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
else:
    import _signal

_ALIASES = ("SIGCLD", "SIGPOLL", "SIGIOT", "SIGRTMIN", "SIGRTMAX")
NUMBERS: dict[str, int] = {
    name[3:]: int(number)
    for name, number in vars(_signal).items()
    if name.startswith("SIG") and not name.startswith("SIG_") and name not in _ALIASES
}
NAMES: dict[int, str] = {number: name for name, number in NUMBERS.items()}

HUP, INT, QUIT, ABRT, KILL = 1, 2, 3, NUMBERS["ABRT"], 9
USR1, USR2, PIPE, ALRM, TERM = NUMBERS["USR1"], NUMBERS["USR2"], 13, 14, 15
CHLD, CONT, STOP, IO = NUMBERS["CHLD"], NUMBERS["CONT"], NUMBERS["STOP"], NUMBERS["IO"]
PWR, WINCH, XFSZ = NUMBERS["PWR"], NUMBERS["WINCH"], NUMBERS["XFSZ"]
LAST = 64


def number(text: str) -> int | None:
    """The signal that TEXT names: decimal, or a name with or without SIG in any case; None when there is none."""
    if text.isascii() and text.isdigit():
        return int(text) if 0 < int(text) <= LAST else None
    return NUMBERS.get(text.upper().removeprefix("SIG"))


def name(signum: int) -> str:
    """The name without SIG, or the number for one without a name."""
    return NAMES.get(signum, str(signum))


def _nothing(_signum: int, _frame: object) -> None:
    """A handler does nothing: the number arrives on the wake-up descriptor, and the loop acts on it."""


def catch(*signums: int) -> None:
    """Have these signals reported on the wake-up descriptor instead of their default action."""
    _act(_nothing, signums)


def ignore(*signums: int) -> None:
    _act(_signal.SIG_IGN, signums)


def default(*signums: int) -> None:
    _act(_signal.SIG_DFL, signums)


_heeded: tuple[int, ...] = ()


def _act(action: Callable[[int, object], None] | int, signums: Sequence[int]) -> None:
    global _heeded  # noqa: PLW0603
    _heeded = ()
    for signum in signums:
        _signal.signal(signum, action)


def heeded() -> tuple[int, ...]:
    """The signals that this process does not ignore, without those that nobody can: what a child is given the default action for."""
    global _heeded  # noqa: PLW0603
    if not _heeded:
        unknown = (None, _signal.SIG_IGN)  # None: the C library's own
        _heeded = tuple(
            n for n in range(1, LAST + 1) if n not in (KILL, STOP) and _signal.getsignal(n) not in unknown
        )
    return _heeded


def wake(fd: int) -> None:
    """Have the number of each caught signal written as one byte to the non-blocking descriptor FD; -1 ends that."""
    _signal.set_wakeup_fd(fd, warn_on_full_buffer=False)


def hold(*signums: int) -> None:
    """Have these signals wait until `let`: around a fork, so that none of the child's is written to the parent's wake-up descriptor."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, signums)


def let(*signums: int) -> None:
    """Have these signals delivered again, those that have waited at once."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, signums)
