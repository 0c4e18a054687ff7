"""svlogd's options and its files `config`, as steps of a script. Pure.

Source: `spec/logging.md` 2.3. A file that holds nonsense in a line loses that line, with a warning.
"""

from __future__ import annotations

from initfs.log.script import DIRECTORY, STDERR, UDP, Action, Match, Policy
from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.script import Step

UNLIMITED = 1 << 62
SUFFIXES = {"k": 1 << 10, "m": 1 << 20}
UNITS = {"m": 60, "h": 3600}


@value
class Stamp:
    """How lines are stamped: a label, or human time with this between day and time."""

    tai: bool = False
    human: str = ""


STAMPS = {0: Stamp(), 1: Stamp(tai=True), 2: Stamp(human="_"), 3: Stamp(human="T")}


@value
class Wanted:
    """What a file `config` says, so far."""

    policy: Policy
    prefix: str = ""
    udp: str = ""
    only_udp: bool = False
    patterns: tuple[Match, ...] = ()  # of the directory
    stderr: tuple[Match, ...] = ()
    warnings: tuple[str, ...] = ()


def parse(text: str, length: int) -> Wanted:
    """What a file `config` says, when a line is LENGTH bytes long as far as patterns go."""
    wanted = Wanted(Policy(count=10, size=1_000_000, tolerance=length, retry=3.0))
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            try:
                wanted = _line(wanted, line[0], line[1:])
            except ValueError:
                wanted = replace(wanted, warnings=(*wanted.warnings, f"no such setting: {line[:60]}"))
    return wanted


def _line(wanted: Wanted, letter: str, rest: str) -> Wanted:
    policy = wanted.policy
    match letter:
        case "s":
            size = number(rest, SUFFIXES)
            tolerance = min(policy.tolerance, size // 2) if size else 0
            return replace(wanted, policy=replace(policy, size=size or UNLIMITED, tolerance=tolerance))
        case "n":
            return replace(wanted, policy=replace(policy, count=number(rest) or UNLIMITED))
        case "N":
            return replace(wanted, policy=replace(policy, least=number(rest)))
        case "t":
            return replace(wanted, policy=replace(policy, period=float(number(rest, UNITS))))
        case "!":
            argv = ("/bin/sh", "-c", rest) if rest else ()
            return replace(wanted, policy=replace(policy, processor=argv))
        case "u" | "U":
            return replace(wanted, udp=rest, only_udp=letter == "U")
        case "p":
            return replace(wanted, prefix=rest)
        case "+" | "-":
            return replace(wanted, patterns=(*wanted.patterns, Match(rest, letter == "+")))
        case "e" | "E":
            return replace(wanted, stderr=(*wanted.stderr, Match(rest, letter == "e")))
        case _:
            raise ValueError(letter)


def number(text: str, units: dict[str, int] | None = None) -> int:
    """A decimal number, perhaps with a unit; ValueError."""
    factor = (units or {}).get(text[-1:], 0)
    digits = text[:-1] if factor else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise ValueError(text)
    return int(digits) * (factor or 1)


def steps(path: str, wanted: Wanted, stamp: Stamp, length: int) -> list[Step]:
    """What is done with each line for the log directory PATH."""
    prefix = wanted.prefix
    common = Action("", path, stamp.tai, False, prefix, 0, wanted.policy, stamp.human)
    found: list[Step] = []
    if wanted.stderr:
        found += [Match("", False), *wanted.stderr, replace(common, kind=STDERR, size=length)]
    found += [Match("", True), *wanted.patterns]
    if wanted.udp:
        found.append(replace(common, kind=UDP, path=wanted.udp, size=length))
    if not wanted.only_udp:
        found.append(replace(common, kind=DIRECTORY))
    return found
