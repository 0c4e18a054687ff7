"""supervise: the same loop with one service in it, for a terminal or another supervisor.

Source: `spec/supervision.md` 1.4. TERM brings the service down and ends; HUP ends once the service has died; QUIT ends at once and
leaves the service alone; INT, a terminal's ctrl-c, is passed to the service's group, and ends at once.
"""

from __future__ import annotations

import os

from initfs import process, say, signals
from initfs.supervise.model import Phase
from initfs.supervise.pipes import Stdio
from initfs.supervise.protocol import Busy
from initfs.supervise.tree import Tree
from initfs.supervise.unit import Unit

USAGE = "supervise servicedir"
TRAPPED = (signals.CHLD, signals.TERM, signals.HUP, signals.QUIT, signals.INT)
LETTERS = {signals.TERM: "xd", signals.HUP: "x"}


class Supervise:
    """The program."""

    def __init__(self, directory: str, *, runit: bool) -> None:
        self._done = False
        self.tree = Tree(runit=runit)
        self.tree.on_gone = self._gone
        self.tree.loop.on_signals(self._signalled, *TRAPPED)
        try:
            fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.unit = Unit(self.tree, directory, fd, Stdio())
        except OSError as error:
            raise say.unable(f"supervise {directory}", error) from error
        except Busy as error:
            text = f"unable to supervise {directory}: another supervisor does"
            raise say.Fatal(say.USAGE, text) from error
        self.tree.adopt(self.unit)

    def turn(self) -> bool:
        """One turn; False when the end has come."""
        self.tree.turn()
        return not self._done

    def close(self) -> None:
        """Say goodbye, if that has not been said: a service that is left alone has no supervisor from here on."""
        if self.unit.service.phase != Phase.GONE:
            self.unit.protocol.tell("x")
            self.unit.close()

    def _gone(self, _unit: Unit) -> None:
        self._done = True

    def _signalled(self, signum: int) -> None:
        if signum == signals.CHLD:
            self.tree.died()
        elif signum in LETTERS:
            self.unit.ask(LETTERS[signum])
        else:
            if signum == signals.INT and self.unit.service.pid:
                process.kill(-self.unit.service.pid, signals.INT)
            self._done = True


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise say.usage(USAGE)
    signals.ignore(signals.PIPE)
    program = Supervise(argv[1], runit=argv[0] == "runsv")
    while program.turn():
        pass
    program.close()
    return say.OK
