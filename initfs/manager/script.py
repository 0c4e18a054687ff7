"""What a oneshot's script runs: the command line in the database, and what its environment says."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.model import Database

WORDS = {"down": 0, "up": 1, "reload": 2}


def command(database: Database, compiled: str, number: int, which: int) -> list[str]:
    """The words to run; a script with an interpreter of its own is in the directory COMPILED. IndexError: no oneshot has that number."""
    position = number - database.longruns
    if position < 0:
        raise IndexError(number)
    line = list(database.scripts[position][which])
    if which in database.interpreted[position]:
        line[-1] = f"{compiled}/{line[-1]}"
    return line


def variables(database: Database, number: int, which: int) -> dict[str, str]:
    """What is added to the environment."""
    found = {"RC_NAME": database.names[number]}
    return {**found, "RC_RELOAD": "1"} if which == WORDS["reload"] else found
