"""When the hardware watchdog is fed, and when a machine counts as healthy. Pure.

Being asked at all means that the loop turns. Beyond that it is fed only while the machine makes sense: its boot comes to an end, its
critical services are up, its end comes to an end. Otherwise nobody feeds, and the hardware resets the machine.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BOOT = 300.0  # seconds that stage 2 may take
DOWN = 60.0  # seconds that a critical service may be down
STEADY = 10.0  # seconds that one must be up to count as that: a short life is no life
END = 600.0  # seconds that the machine's end may take: its stages with the longest grace, and writing out
HEALTHY = 30.0  # seconds that all must have been well after the boot
MEALS = 3  # within one time-out, so that one late turn costs nothing


@value
class View:
    """What there is to decide by. Instants are monotonic seconds, 0.0: not yet."""

    began: float = 0.0  # when process 1 began
    booted: float = 0.0  # when stage 2 ended well, or with what can be lived with
    ending: float = 0.0  # when the end of the machine began
    down: Mapping[str, float] = {}  # the critical services that are wanted and not up, and since when


def refusal(view: View, now: float) -> str:
    """Why the watchdog is not to be fed at NOW; "" when it is."""
    if view.ending:
        return f"the end takes more than {END:g} seconds" if now - view.ending > END else ""
    if not view.booted and now - view.began > BOOT:
        return f"the boot takes more than {BOOT:g} seconds"
    for name, since in view.down.items():
        if now - since > DOWN:
            return f"{name} is critical, and down for more than {DOWN:g} seconds"
    return ""


def healthy(view: View, now: float) -> bool:
    """Whether the boot is a success: it is over, and for a while all critical services are up."""
    return bool(view.booted) and not view.ending and not view.down and now - view.booted >= HEALTHY


def interval(timeout: float) -> float:
    """Seconds between two meals."""
    return max(timeout / MEALS, 0.5)
