"""shutdown: halt, power off or reboot now, in some minutes, or at a time; or take that back.

Source: `spec/init.md` 7.6, LSB. It returns at once: process 1 does the rest.
"""

from __future__ import annotations

import time

from initfs import files, options, say
from initfs.pid1 import asking, moments, people

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = "shutdown [-h [-H|-P] | -p | -r | -k] [-a] [-t sec] [-i] [-f|-F] time [message...] | shutdown -c [message...]"
ALLOW = "/etc/shutdown.allow"
MODES = {"h": "poweroff", "H": "halt", "P": "poweroff", "p": "poweroff", "r": "reboot"}
GOING = {
    "halt": "halt",
    "poweroff": "power off",
    "reboot": "reboot",
    "single": "go down to maintenance",
    "warning": "go down",
}
GRACE_MAX = 300


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "hHPprkat:ifFc", USAGE)
    flags = dict(given)
    if "i" in flags:
        people.this_host(argv[0])
    if "a" in flags:
        may()
    if "c" in flags:
        asking.send(asking.Cancel())
        people.tell(" ".join(rest) or "The shutdown is cancelled.")
        return say.OK
    if not rest:
        raise say.usage(USAGE)
    seconds = moments.until(rest[0], second_of_day())
    if seconds is None:
        raise say.Fatal(say.USAGE, f"not a time: {rest[0]}")
    mode = mode_of(flags)
    grace = min(options.number(flags["t"], USAGE), GRACE_MAX) if "t" in flags else 0
    announce(mode, seconds, " ".join(rest[1:]))
    if mode != "warning":
        asking.send(asking.End(mode, float(seconds), float(grace)))
    return say.OK


def mode_of(flags: Mapping[str, str]) -> str:
    """What is to become of the machine. -k only warns, whatever else is said; of the others the last word counts."""
    if "k" in flags:
        return "warning"
    return next((MODES[letter] for letter in reversed(list(flags)) if letter in MODES), "single")


def announce(mode: str, seconds: int, message: str) -> None:
    """Tell everybody who is logged in."""
    when = (
        "now" if not seconds else f"in {seconds // 60} minutes" if seconds >= 60 else f"in {seconds} seconds"
    )
    people.tell(f"The system is going to {GOING[mode]} {when}!" + (f"\n{message}" if message else ""))


def second_of_day() -> int:
    """What the clock on the wall says, in seconds."""
    now = time.localtime()
    return now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec


def may() -> None:
    """say.Fatal 1 unless there is no shutdown.allow, or one of its users is logged in."""
    try:
        content = files.read(ALLOW, size=moments.ALLOWED_SIZE + 1)
    except OSError as error:
        raise say.unable(f"read {ALLOW}", error) from error
    if content is None:
        return
    allowed = moments.allowed(content, {login.user for login in people.logged_in()})
    if allowed is None:
        raise say.Fatal(say.NO, f"{ALLOW} is too large")
    if not allowed:
        raise say.Fatal(say.NO, "nobody who is logged in may do that")
