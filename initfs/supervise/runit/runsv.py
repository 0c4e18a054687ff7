"""runsv: one service and its logger, the pipe between them, and nothing else.

Source: `spec/supervision.md` 1.9. TERM, and the letter x, bring the service down; then its logger reads the end of the pipe and ends, and so
does this program. The logger's own control FIFO knows no x.
"""

from __future__ import annotations

import os

from initfs import say, signals
from initfs.supervise.pipes import Pipe, Stdio
from initfs.supervise.protocol import Busy
from initfs.supervise.tree import Tree
from initfs.supervise.unit import Unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.model import Event

USAGE = "runsv servicedir"
EXIT = "dx"


class Service(Unit):
    """The service: its finish writes to the log even when it is the last."""

    def _finish(self, status: int, pid: int, *, quiet: bool) -> Event:  # noqa: ARG002 # s6's rule for x, not runit's
        return super()._finish(status, pid, quiet=False)


class Logger(Unit):
    """The logger of the service."""

    def ask(self, letters: str) -> None:
        """Act on command letters, but not on those that would end it before its service."""
        super().ask(letters.replace(EXIT, ""))

    def end(self) -> None:
        """End when the pipe does; one that is down but wanted drains it first."""
        super().ask("ox" if self.service.wanted else "x")


class Runsv:
    """The program."""

    def __init__(self, directory: str) -> None:
        """Supervise DIRECTORY and its log/. say.Fatal 111 when that can't be."""
        self.tree = Tree(runit=True)
        self.tree.on_gone = self._gone
        self.tree.loop.on_signals(self._signalled, signals.CHLD, signals.TERM)
        self._pipe: Pipe | None = None
        self.logger: Logger | None = None
        self.done = False
        if os.path.isdir(f"{directory}/log"):
            self._pipe = Pipe()
            self.logger = Logger(
                self.tree, "log", _open(f"{directory}/log", directory), Stdio(stdin=self._pipe)
            )
        self.unit = Service(
            self.tree, os.path.basename(directory), _open(directory, directory), Stdio(stdout=self._pipe)
        )
        if self.logger is not None:
            self.tree.adopt(self.logger)
        self.tree.adopt(self.unit)

    def _gone(self, unit: Unit) -> None:
        if unit is self.unit and self.logger is not None:
            assert self._pipe is not None
            self._pipe.close_writing()
            self.logger.end()
        else:
            self.done = True

    def _signalled(self, signum: int) -> None:
        if signum == signals.CHLD:
            self.tree.died()
        else:
            self.unit.ask(EXIT)


def _open(path: str, directory: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise say.unable(f"supervise {directory}", error) from error


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise say.usage(USAGE)
    signals.ignore(signals.PIPE)
    directory = argv[1].rstrip("/") or "/"
    try:
        program = Runsv(directory)
    except Busy as error:
        text = f"unable to supervise {directory}: another supervisor does"
        raise say.Fatal(say.TEMPORARY, text) from error
    except OSError as error:
        raise say.unable(f"supervise {directory}", error) from error
    while not program.done:
        program.tree.turn()
    return say.OK
