"""The language of a logging script: words to a Script, or a BadScript that names the word. Pure.

Source: `spec/logging.md` 2.2. A script is read from left to right. Controls are remembered for the actions that follow, selections and
actions are the steps that every line goes through (`route.py`). Some controls are our own: `mN` (at most N lines a second) and `u` (repeated
lines are folded) hold for the whole script, `kDIR` (archives are copied there), `hN` and `HN` (KiB that an hour's copies may have, and those of all logs) for log directories.
"""

from __future__ import annotations

from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

SIZE_LEAST, SIZE_MOST = 4096, 268435455
HOUR = 3600.0
OUT, ALERT, STATUS, DIRECTORY = "out", "alert", "status", "directory"
STDERR, UDP = "stderr", "udp"  # only svlogd and multilog have these


class BadScript(ValueError):
    """The script is wrong; the text names the word."""


@value
class Match:
    """Select (or deselect) the lines that match an extended regular expression."""

    pattern: str
    select: bool


@value
class Otherwise:
    """Select exactly the lines for which no action has happened yet."""


@value
class Policy:
    """How a log directory is rotated. Sizes are bytes, times seconds."""

    count: int = 10  # archives kept
    least: int = -1  # archives that stay even on a full disk; -1: none is removed for that
    size: int = 99999
    total: int = 0  # of all archives; 0: no limit
    tolerance: int = 2000
    retry: float = 2.0
    period: float = 0.0  # rotated at least so often; 0: only by size
    processor: tuple[str, ...] = ()  # argv
    keep: str = ""  # where archives are copied to
    hourly: int = 256 * 1024  # bytes that an hour's copies may have
    hourly_all: int = (
        4096 * 1024
    )  # bytes that an hour's copies may have together with those of the logs beside it


@value
class Action:
    """What is done with the selected lines: OUT, ALERT, STATUS, DIRECTORY, STDERR or UDP."""

    kind: str
    path: str = ""
    tai: bool = False
    local: bool = False
    prefix: str = ""
    size: int = 0  # of an alert or a status; 0: no limit
    policy: Policy = Policy()
    human: str = ""  # svlogd's stamp, with this between day and time


if TYPE_CHECKING:
    Step: TypeAlias = Match | Otherwise | Action


@value
class Script:
    """Steps in order; what is strange but not wrong; lines a second (0: any); whether repeated lines are folded."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()
    rate: int = 0
    fold: bool = False

    @property
    def actions(self) -> tuple[Action, ...]:
        """The steps that are actions."""
        return tuple(step for step in self.steps if isinstance(step, Action))


@value
class _State:
    """What the controls have said so far."""

    policy: Policy = Policy()
    alert: int = 200
    status: int = 1001
    prefix: str = ""
    tai: bool = False
    local: bool = False
    rate: int = 0
    fold: bool = False


def parse(words: Sequence[str]) -> Script:
    """The Script of WORDS; BadScript for a word that is none, or when there is no action."""
    state, steps, last = _State(), [], 0
    for index, word in enumerate(words):
        step = _step(word, state)
        if step is None:
            state = _control(word, state)
            continue
        steps.append(step)
        if isinstance(step, Action):
            state = replace(state, tai=False, local=False)
            last = index + 1
    if not last:
        raise BadScript("there is no action")
    warnings = ("directives after the last action mean nothing",) if last < len(words) else ()
    return Script(tuple(steps), warnings, state.rate, state.fold)


def _step(word: str, state: _State) -> Step | None:
    """The selection or action that WORD is; None when it is a control."""
    first, rest = word[:1], word[1:]
    if first in ("+", "-"):
        return Match(rest, first == "+")
    if first == "f":
        _bare(word)
        return Otherwise()
    if first in ("1", "2"):
        _bare(word)
        kind = OUT if first == "1" else ALERT
        return Action(kind, "", state.tai, state.local, state.prefix, state.alert)
    if first == "=":
        if not rest:
            raise BadScript(f"{word}: a file name is missing")
        return Action(STATUS, rest, state.tai, state.local, state.prefix, state.status)
    if first in ("/", "."):
        if 2 * state.policy.tolerance > state.policy.size:
            raise BadScript(f"{word}: the tolerance l is more than half of the size s")
        return Action(DIRECTORY, word, state.tai, state.local, state.prefix, 0, _complete(state.policy))
    return None


def _complete(policy: Policy) -> Policy:
    """What is kept is kept within the hour, also if it does not fill a file."""
    return replace(policy, period=HOUR) if policy.keep and not policy.period else policy


def _control(word: str, state: _State) -> _State:
    first, rest = word[:1], word[1:]
    policy = state.policy
    if first in ("t", "T", "u"):
        _bare(word)
        return replace(state, **{{"t": "tai", "T": "local", "u": "fold"}[first]: True})
    if first in NUMBERS:
        name, convert = NUMBERS[first]
        return replace(state, policy=replace(policy, **{name: convert(_number(word))}))
    if first in ("E", "^", "m"):
        name = {"E": "alert", "^": "status", "m": "rate"}[first]
        return replace(state, **{name: _number(word)})
    if first == "k":
        if rest and rest[0] not in "/.":
            raise BadScript(f"{word}: not a directory")
        return replace(state, policy=replace(policy, keep=rest))
    if first == "p":
        return replace(state, prefix=f"{rest} " if rest else "")
    if first in ("!", "?"):
        argv = ("/bin/sh", "-c", rest) if first == "?" else ("chain", "-Pc", rest)
        return replace(state, policy=replace(policy, processor=argv if rest else ()))
    raise BadScript(f"{word or 'an empty word'}: no such directive")


NUMBERS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "n": ("count", int),
    "s": ("size", lambda size: min(max(size, SIZE_LEAST), SIZE_MOST)),
    "S": ("total", int),
    "l": ("tolerance", int),
    "r": ("retry", lambda milliseconds: milliseconds / 1000),
    "R": ("period", float),
    "h": ("hourly", lambda kib: kib * 1024),
    "H": ("hourly_all", lambda kib: kib * 1024),
}


def _number(word: str) -> int:
    digits = word[1:]
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= 1 << 64:
        raise BadScript(f"{word}: not a number")
    return int(digits)


def _bare(word: str) -> None:
    if len(word) > 1:
        raise BadScript(f"{word}: {word[0]} stands alone")
