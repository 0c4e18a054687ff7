"""How long each service took to come up last: the file `timing` in the live directory, a line `seconds name` for each.

Nothing but pictures depends on it: what can't be written or read is no trouble.
"""

from __future__ import annotations

import os

from initfs import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initfs.manager.live import Live

FILE = "timing"
MOST = 1 << 24  # bytes


def record(live: Live, took: Mapping[int, float]) -> None:
    """Keep the seconds of these services, beside those that are known of others."""
    known = read(live) | dict(took)
    names = live.index.database.names
    content = "".join(f"{seconds:.6f} {names[number]}\n" for number, seconds in sorted(known.items()))
    files.tried("keep how long it took", lambda: files.write(f"{live.path}/{FILE}", os.fsencode(content)))


def read(live: Live) -> dict[int, float]:
    """Seconds by number."""
    try:
        content = os.fsdecode(files.read(f"{live.path}/{FILE}", size=MOST) or b"")
    except OSError:
        return {}
    found: dict[int, float] = {}
    for line in content.splitlines():
        seconds, _, name = line.partition(" ")
        number = live.index.number.get(name)
        try:
            if number is not None:
                found[number] = float(seconds)
        except ValueError:
            continue
    return found
