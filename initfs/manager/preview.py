"""What a change would do, without doing it: the commands that would do the same by hand, in an order in which they could run."""

from __future__ import annotations

import os
import time

from initfs import say
from initfs.manager import plan
from initfs.manager.db import write
from initfs.manager.model import RUNNER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from initfs.manager.live import Live

PREFIX = "rc-dryrun:"


def preview(
    live: Live,
    phases: Sequence[plan.Phase],
    kept: AbstractSet[int],
    *,
    throttle: int = 0,
    as_json: bool = False,
    verbosity: int = 1,
    up: AbstractSet[int] | None = None,
) -> int:
    """Print the steps; THROTTLE milliseconds pass for each round of what would go on at the same time. UP: what would be up before."""
    before = live.up() if up is None else up
    steps: list[dict[str, object]] = []
    for row in plan.rounds(live.index, phases, before, kept):
        for up_, number in row:
            steps.append(step(live, number, up=up_))
            if verbosity and not as_json:
                write(os.fsencode(line(steps[-1])))
        if throttle:
            time.sleep(throttle / 1000)
    if as_json:
        import json

        write(json.dumps(steps).encode() + b"\n")
    return say.OK


def step(live: Live, number: int, *, up: bool) -> dict[str, object]:
    """One transition as a value for JSON."""
    name = live.index.database.names[number]
    return {
        "action": "start" if up else "stop",
        "service": name,
        "type": live.index.kind(name),
        "command": command(live, number, up=up),
    }


def line(what: dict[str, object]) -> str:
    """The same as a line of text."""
    words = what["command"]
    assert isinstance(words, list)
    return f"{PREFIX} {' '.join(words)} # {what['action']} {what['service']}\n"


def command(live: Live, number: int, *, up: bool) -> list[str]:
    """The command that makes a transition."""
    database = live.index.database
    limit = str(database.timeouts[number][int(up)])
    if number >= database.longruns:
        socket = f"{live.path}/servicedirs/{RUNNER}/s"
        return ["svsudo", "-e", "-t", "30000", "-T", limit, "--", socket, "up" if up else "down", str(number)]
    directory = live.servicedir(number)
    ready = os.path.exists(f"{directory}/notification-fd")
    return ["svc", ("-uwU" if ready else "-uwu") if up else "-dwD", "-T", limit, "--", directory]
