"""When a cable counts as in, and when as out: the delays of ifplugd_IF. Pure; time is an argument.

A state that flips back within its delay causes nothing. Source: `spec/var_service.md` 8.7.
"""

from __future__ import annotations

from initfs.value import replace, value

NEVER = float("inf")
UP, DOWN, ERROR = "up", "down", "error"  # error: there is no such interface


@value
class Policy:
    """Seconds that a link must be so before it counts."""

    up: float = 0.5
    down: float = 8.0


@value
class Watch:
    """What is remembered of an interface."""

    told: str = ""  # what its handler was last told; "" nothing yet
    seen: str = ERROR
    deadline: float = NEVER  # when what is seen is to be told


def seen(watch: Watch, state: str, now: float, policy: Policy) -> Watch:
    """The link is STATE now. What is there at first counts at once, and so does that an interface is gone."""
    if not watch.told:
        return Watch("", state, now)
    if state == watch.seen:
        return watch
    if effective(state) == watch.told:
        return replace(watch, seen=state, deadline=NEVER)
    if state == ERROR:
        return replace(watch, seen=state, deadline=now)
    if effective(state) == effective(watch.seen):
        return replace(watch, seen=state)
    return replace(watch, seen=state, deadline=now + (policy.up if state == UP else policy.down))


def effective(state: str) -> str:
    return UP if state == UP else DOWN


def due(watch: Watch, now: float) -> tuple[Watch, str]:
    """What the handler is to be told now, "up", "down" or "" for nothing, and what is remembered then."""
    if now < watch.deadline:
        return watch, ""
    told = effective(watch.seen)
    return replace(watch, told=told, deadline=NEVER), told
