"""A service directory, read at the moment of use: one value per file, absent is the default, invalid is a warning and
the default. No parser, no cache: whoever edits a file need not tell anybody. Only which files there are is known for as long as the
directory has not changed.

Source: `spec/supervision.md` 1.3.
"""

from __future__ import annotations

import os
import time

from initfs import files, say, signals
from initfs.supervise.model import NEVER, Policy
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

TICKS, SECOND = 50_000_000, 1_000_000_000  # nanoseconds: several ticks of any kernel
TALLY = 100  # deaths remembered when `max-death-tally` does not say
TALLY_MAX = 4096


@value
class Start:
    """What a start needs to know: descriptors to give to `run` (0: none), and whether it gets a pid namespace."""

    notification_fd: int = 0
    lock_fd: int = 0
    new_pid_namespace: bool = False
    keep_fd: int = 0


DEFAULT, PLAIN = Policy(), Start()
# The files that make a directory's policy, or start, another than these.
POLICY = frozenset(
    (
        "finish",
        "notification-fd",
        "down-signal",
        "reload-signal",
        "timeout-kill",
        "flag-timeout-killpg",
        "timeout-finish",
        "restart-delay-max",
    )
)
START = frozenset(("notification-fd", "lock-fd", "flag-newpidns", "keep-fd"))
KNOBS = POLICY | START | {"down", "control", "max-death-tally"}
NONE: frozenset[str] = frozenset()
UNKNOWN = -1


class Directory:
    """One service directory by descriptor, so that renaming it changes nothing.

    One of O_PATH will do, and each child closes such a copy in a third of the time: neither a lock nor a watch can depend on it.
    """

    __slots__ = ("_listed", "_names", "_said", "_stamp", "_turns", "fd", "name")

    def __init__(self, fd: int, name: str, turns: Callable[[], int] | None = None) -> None:
        """TURNS counts the turns of a loop: within one, the directory is listed once."""
        self.fd = fd
        self.name = name
        self._turns = turns
        self._listed = -1
        self._stamp = UNKNOWN
        self._names = NONE
        self._said = NONE

    def policy(self) -> Policy:
        """What the automaton wants to know, now."""
        names = self.names()
        if names.isdisjoint(POLICY):
            return DEFAULT
        knob = self._knob
        return Policy(
            "finish" in names,
            "notification-fd" in names,
            knob(names, "down-signal", signals.number, signals.TERM),
            knob(names, "reload-signal", signals.number, signals.HUP),
            knob(names, "timeout-kill", milliseconds, NEVER),
            "flag-timeout-killpg" in names,
            knob(names, "timeout-finish", milliseconds, 5.0),
            knob(names, "restart-delay-max", number, 0) / 1000,
        )

    def start(self) -> Start:
        """What a start wants to know, now."""
        names = self.names()
        if names.isdisjoint(START):
            return PLAIN
        return Start(
            self._knob(names, "notification-fd", positive, 0),
            self._knob(names, "lock-fd", positive, 0),
            "flag-newpidns" in names,
            self._knob(names, "keep-fd", positive, 0),
        )

    def tally(self) -> int:
        """How many deaths are to be remembered."""
        return min(self._knob(self.names(), "max-death-tally", number, TALLY), TALLY_MAX)

    def names(self) -> frozenset[str]:
        """Which knobs there are, looked for once a turn of the loop; none when it cannot be read, which is said once."""
        turn = self._turns() if self._turns else self._listed + 1
        if turn != self._listed:
            self._listed = turn
            try:
                self._look()
            except OSError as error:
                self._warn(f"unable to read the service directory: {say.reason(error)}")
                self._names, self._stamp = NONE, UNKNOWN
        return self._names

    def _look(self) -> None:
        """List the directory, unless its stamp says that no entry has come or gone since that was done last."""
        stamp = os.stat(self.fd).st_ctime_ns
        if stamp != self._stamp:
            self._stamp = stamp if telling(stamp, time.time_ns()) else UNKNOWN
            self._names = KNOBS.intersection(self._list()) or NONE

    def _list(self) -> list[str]:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def has_control(self) -> bool:
        """Whether there are scripts for command letters, as runsv has them."""
        return "control" in self.names()

    def mark_down(self, down: bool) -> None:
        """Create or remove ./down; a read-only directory is said, and the command still acts for this time."""
        try:
            if down:
                files.create("down", at=self.fd)
            else:
                files.remove("down", at=self.fd)
        except OSError as error:
            self._warn(f"unable to {'create' if down else 'remove'} down: {say.reason(error)}")

    def _knob(self, names: frozenset[str], name: str, read: Callable[[str], T | None], default: T) -> T:
        if name not in names:
            return default
        try:
            content = files.read(name, at=self.fd) or b""
        except OSError as error:
            self._warn(f"unable to read {name}: {say.reason(error)}")
            return default
        text = content.partition(b"\n")[0].decode(errors="replace").strip()
        found = read(text)
        if found is None:
            self._warn(f"invalid {name}: {text[:40]!r}; the default applies")
            return default
        return found

    def _warn(self, text: str) -> None:
        if text not in self._said:
            self._said |= {text}
            say.warning(f"{self.name}: {text}")


def telling(stamp: int, now: int) -> bool:
    """Whether each change of a file from NOW on (nanoseconds since 1970) will give it another ctime than STAMP.

    The kernel stamps with the time of its last tick, 100 or more a second; a file system without room for it, with whole seconds.
    """
    return now - stamp > TICKS and stamp % SECOND != 0


def number(text: str) -> int | None:
    """A decimal number of a size that a knob can mean."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def positive(text: str) -> int | None:
    found = number(text)
    return found if found and found < 1024 else None


def milliseconds(text: str) -> float | None:
    """Seconds from a file that holds milliseconds; 0 is never."""
    found = number(text)
    return found if found is None else found / 1000 or NEVER
