"""The guest's events (docs/events.md) as values, and what was heard of them so far. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One transition or milestone; `line` is how it came."""

    seq: int
    boot: str
    time: float  # seconds since the kernel started
    service: str
    event: str
    pid: int
    reason: str
    line: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        """Return the event for people, one line."""
        words = [f"{self.time:9.3f}", self.service or "-", self.event]
        return "  ".join([*words, *([f"pid {self.pid}"] if self.pid else []), *filter(None, [self.reason])])


def parse(line: str) -> Event | None:
    """Read one line; None when it is not an event, as the first line after a reconnect may be torn."""
    try:
        told = json.loads(line)
        return Event(
            seq=int(told["seq"]), boot=str(told["boot"]), time=float(told["time"]), service=str(told["service"]),
            event=str(told["event"]), pid=int(told["pid"]), reason=str(told["reason"]), line=line,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None


def concerns(name: str, wanted: str) -> bool:
    """Say whether the service `name` is `wanted` or an instance of it: `getty_ttyAMA0` is a `getty`, its log is not."""
    return name == wanted or (name.startswith(wanted + "_") and "/" not in name)


class Lines:
    """Cuts a byte stream into lines; what has no end yet is kept."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are whole now, without their ends, empty ones left out."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole if line.strip()]


class History:
    """All events of a machine, each once, in order: a stream that begins anew repeats what was remembered."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.newest: dict[str, int] = {}  # boot -> seq

    def add(self, event: Event) -> bool:
        """Keep the event unless it is known already; return whether it was news."""
        if event.seq <= self.newest.get(event.boot, 0):
            return False
        self.newest[event.boot] = event.seq
        self.events.append(event)
        return True

    def find(self, name: str, service: str | None = None, after: int = 0) -> Event | None:
        """Return the first such event from position `after` on; `service` as `concerns` has it, None for a milestone."""
        return next(self.such(name, service, after), None)

    def such(self, name: str, service: str | None = None, after: int = 0) -> Iterator[Event]:
        for event in self.events[after:]:
            if event.event == name and (concerns(event.service, service) if service else not event.service):
                yield event

    def ready(self, service: str) -> bool:
        """Say whether the service (its very name) is ready now: said so since it last came up."""
        last = [event.event for event in self.events if event.service == service and event.event in STATES]
        return last[-1:] == ["ready"]

    def tail(self, count: int = 12) -> str:
        return "\n".join(map(str, self.events[-count:])) or "(none)"


STATES = frozenset({"up", "ready", "down", "failed", "released"})
