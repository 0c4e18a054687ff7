"""rc diff: longruns whose supervisor wants something else than the manager's state says."""

from __future__ import annotations

import os

from initfs import say
from initfs.manager.db import write
from initfs.manager.plan import UP
from initfs.supervise import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initfs.manager.live import Live


def diff(live: Live) -> int:
    """Print `+NAME` for what a supervisor wants up though it is to be down, `-NAME` for the opposite; 1 if there is any."""
    found = list(differences(live))
    write(os.fsencode("".join(f"{line}\n" for line in found)))
    return say.NO if found else say.OK


def differences(live: Live) -> Iterator[str]:
    """The lines. say.Fatal 111 when a service has no supervisor."""
    for number in range(live.index.database.longruns):
        try:
            wanted = client.read_status(live.servicedir(number)).wanted
        except say.Fatal as fatal:
            raise say.Fatal(say.TEMPORARY, str(fatal)) from fatal
        if wanted != bool(live.state[number] & UP):
            yield f"{'+' if wanted else '-'}{live.index.database.names[number]}"
