"""What a status light shows: the state of the machine, from its events, and how it blinks. Pure."""

from __future__ import annotations

from initfs.value import value

BOOTING, UP, FAILSAFE, FAILING, ENDING, GONE = "booting", "up", "failsafe", "failing", "ending", "gone"
# Milestones (docs/events.md) -> what they lead to.
MILESTONES = {
    "booted": UP,
    "healthy": UP,
    "failsafe": FAILSAFE,
    "failing": FAILING,
    "unfed": FAILING,
    "stopping": ENDING,
}
LASTING = (FAILSAFE, FAILING)  # what only the machine's end ends


@value
class Blink:
    """Milliseconds on and off; `heartbeat` instead: the kernel's double beat, quicker under load."""

    on: int = 0
    off: int = 0
    heartbeat: bool = False


PATTERNS = {
    BOOTING: Blink(100, 100),
    UP: Blink(heartbeat=True),
    FAILSAFE: Blink(50, 950),
    FAILING: Blink(500, 500),
    ENDING: Blink(1000, 200),
    GONE: Blink(500, 500),
}


def state(before: str, service: str, event: str) -> str:
    """The state after an event."""
    after = MILESTONES.get(event, before) if not service else before
    return before if before in LASTING and after == UP else after


def choose(names: list[str]) -> str:
    """The light to use when nobody has named one: the one that is called so, else the first; "" when there is none."""
    for word in ("status", "sys", "power", "led"):
        for name in sorted(names):
            if word in name.lower():
                return name
    return min(names, default="")
