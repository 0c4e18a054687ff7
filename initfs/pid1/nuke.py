"""nuke: SIGKILL to every process but process 1 and this one. Source: `spec/init.md` 7.7."""

from __future__ import annotations

import os

from initfs import say, signals

USAGE = "nuke"


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise say.usage(USAGE)
    try:
        os.kill(-1, signals.KILL)
    except ProcessLookupError:
        return say.OK
    except OSError as error:
        raise say.unable("kill", error) from error
    return say.OK
