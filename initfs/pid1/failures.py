"""Which services are failing: those that give up, and those whose lives are short again and again. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Tally: TypeAlias = tuple[float, ...]

OFTEN, WITHIN = 5, 60.0  # so many deaths within so many seconds are a failure
RESTART, REBOOT, FAILSAFE = "restart", "reboot", "failsafe"
POLICIES = (RESTART, REBOOT, FAILSAFE)  # what a file `on-failure` may say; the first is the default


def died(tally: Tally, now: float) -> tuple[Tally, bool]:
    """The deaths to remember after one more at NOW, and whether that is a failure. After a failure counting begins anew."""
    recent = (*(when for when in tally if now - when < WITHIN), now)
    return ((), True) if len(recent) >= OFTEN else (recent, False)


def policy(content: bytes) -> str | None:
    """What a file `on-failure` says; None for what nobody can mean."""
    text = content.partition(b"\n")[0].decode(errors="replace").strip()
    return text if text in POLICIES else None
