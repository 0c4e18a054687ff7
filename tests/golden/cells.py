"""The printed table of representative cells of the automaton: `python -m tests.golden.cells --write` (or `inv table`)."""

from __future__ import annotations

import sys
from pathlib import Path

from initfs.supervise.automaton import step
from initfs.supervise.control import LETTERS
from initfs.supervise.model import (
    Adopted,
    Asked,
    Died,
    Expired,
    NotSpawned,
    Phase,
    Policy,
    Readied,
    Returned,
    Service,
    Spawned,
    Vanished,
)

FILE = Path(__file__).parent / "supervise.txt"
NOW = 100.0
POLICY = Policy(finish=True, notifies=True, timeout_kill=7.0)
STATES = {
    "DOWN wanted": Service(phase=Phase.DOWN, deadline=NOW),
    "DOWN": Service(phase=Phase.DOWN, wanted=False),
    "UP": Service(phase=Phase.UP, pid=9, started=90.0, ran=True),
    "UP ready": Service(phase=Phase.UP, pid=9, started=90.0, ready=True, readied=95.0, ran=True),
    "UP leaving": Service(phase=Phase.UP, pid=9, started=90.0, leaving=True, ran=True),
    "FINISH wanted": Service(phase=Phase.FINISH, pid=9, pause=1.0, ran=True),
    "FINISH leaving": Service(phase=Phase.FINISH, pid=9, leaving=True, ran=True),
}
EVENTS = [
    Spawned(9),
    NotSpawned("no", 60.0),
    Adopted(9, ready=True, started=50.0),
    Adopted(9, ready=False, started=50.0, finishing=True),
    Readied(),
    Died(0),
    Died(9),
    Died(125 << 8),
    Expired(),
    Vanished(),
    Returned(),
    *(Asked(letter) for letter in LETTERS),
]


def table() -> str:
    """A line for every cell in which something happens: the state, the event, what changes, what is done."""
    lines = []
    for title, service in STATES.items():
        for event in EVENTS:
            after, effects = step(service, event, NOW, POLICY)  # type: ignore[arg-type]
            names = service.__match_args__
            changes = [f"{n}={getattr(after, n)}" for n in names if getattr(after, n) != getattr(service, n)]
            if changes or effects:
                done = " ".join(str(effect) for effect in effects)
                lines.append(f"{title:14} {event!s:28} {' '.join(changes) or '-':60} {done}".rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__" and "--write" in sys.argv:
    FILE.write_text(table())
