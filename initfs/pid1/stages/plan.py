"""runit's three stages as a pure plan: what follows the end of a stage, and when a signal ends the second.

Source: `spec/init.md` 7.9, runit(8).
"""

from __future__ import annotations

from initfs.value import value

ONE, TWO, THREE, OVER = 1, 2, 3, 4
FATAL, AGAIN = (
    100,
    111,
)  # exit codes: of stage 1, that it makes no sense to go on; of stage 2, that it is to be run again
PAUSE = 5.0  # seconds before stage 2 is run again; and from TERM to KILL


@value
class Ended:
    """The stage's process has ended with this wait status; `asked`: because somebody asked for the machine's end."""

    stage: int
    status: int
    asked: bool = False


@value
class Next:
    """The stage to run, after so many seconds, and whether to kill first what is left of the former's process group."""

    stage: int
    after: float = 0.0
    kill: bool = False


def follow(event: Ended) -> Next:
    """What comes next."""
    crashed = bool(event.status & 0x7F)
    code = event.status >> 8
    match event.stage:
        case 1:
            return Next(THREE if crashed or code == FATAL else TWO)
        case 2 if not event.asked and (crashed or code == AGAIN):
            return Next(TWO, PAUSE, kill=True)
        case 2:
            return Next(THREE)
        case _:
            return Next(OVER)
