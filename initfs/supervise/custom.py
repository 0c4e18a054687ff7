"""runsv's custom control: an executable `control/LETTER` runs before the letter is acted on, and may take its place.

Source: runsv(8), CUSTOM CONTROL, and `spec/supervision.md` 1.9. While a script runs, the letters after it wait; nothing else does.
"""

from __future__ import annotations

import os

from initfs import process, say
from initfs.supervise.model import Asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.unit import Unit

RUN, ACT = "run", "act"
ALWAYS = "uUoOdDxQ"  # letters that change what is wanted do so whatever a script says


def steps(letter: str) -> list[tuple[str, str]]:
    """What happens for a letter, in order: scripts of control/, and the letter itself."""
    match letter:
        case "d":
            return [(RUN, "t"), (ACT, "d"), (RUN, "d")]
        case "o":
            return [(RUN, "u"), (ACT, "o")]
        case _:
            return [(RUN, letter), (ACT, letter)]


class Custom:
    """The letters of one service that has scripts for some of them."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._steps: list[tuple[str, str]] = []
        self._suppressed = False  # a script has done what the signal would do
        self.running = False

    def ask(self, letters: str) -> None:
        """Act on letters as soon as their scripts have ended."""
        for letter in letters:
            self._steps += steps(letter)
        self._go_on()

    def died(self, status: int) -> None:
        """The script has ended."""
        self.running = False
        if self._unit.closed:
            return
        self._unit.hear_commands(True)
        self._suppressed = status == 0
        self._go_on()

    def _go_on(self) -> None:
        while self._steps and not self.running:
            kind, what = self._steps.pop(0)
            if kind == RUN:
                self._suppressed = False
                self._start(f"control/{what}")
            elif what in ALWAYS or not self._suppressed:
                self._unit.feed(Asked(what, quiet=self._suppressed))

    def _start(self, path: str) -> None:
        fd = self._unit.directory.fd
        if not os.access(path, os.X_OK, dir_fd=fd):
            return
        try:
            pid = process.spawn(f"./{path}", [f"./{path}"], self._unit.environment, directory=fd)
        except OSError as error:
            say.warning(f"{self._unit.name}: unable to run {path}: {say.reason(error)}")
            return
        self.running = True
        self._unit.hear_commands(False)
        self._unit.own(pid, self)
