"""What the kernel's command line asks of us (`docs/booting.md` has the table). Pure.

The kernel hands words that it does not know to /init: those with `=` as environment, the others as arguments. Ours are read from
/proc/cmdline instead, so that a shell on the way cannot lose them. What is not understood is ignored: a machine that boots with a
typing error is better than one that does not.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = ("default", "1", "2", "3", "4", "5")
EMERGENCIES = ("shell", "reset")
SECONDS_MAX = 86400


@value
class Parameters:
    """Our parameters."""

    level: str = ""  # run-level or bundle to bring up; "": what the image says
    failsafe: bool = False
    watchdog: int = -1  # seconds until the hardware resets; 0: do not use it; -1: what the image says
    emergency: str = ""  # what becomes of a machine whose process 1 can't go on; "": what the image says
    verbose: bool = False


def parse(line: str) -> Parameters:
    """The Parameters in a /proc/cmdline. The last of two wins, but of run-levels the first, as init always did."""
    words = line.split()
    given = dict(
        word.removeprefix("initfs.").partition("=")[::2] for word in words if word.startswith("initfs.")
    )
    watchdog = given.get("watchdog", "")
    emergency = given.get("emergency", "")
    return Parameters(
        level=given.get("default", "") or level(words),
        failsafe="failsafe" in given,
        watchdog=min(int(watchdog), SECONDS_MAX) if watchdog.isascii() and watchdog.isdigit() else -1,
        emergency=emergency if emergency in EMERGENCIES else "",
        verbose="verbose" in given,
    )


def level(words: Sequence[str]) -> str:
    """The first word that is a run-level; "" for none."""
    return next((word for word in words if word in LEVELS), "")


def plain(words: Sequence[str]) -> list[str]:
    """The words without `=`: what rc.init is told besides its run-level."""
    return [word for word in words if "=" not in word]
