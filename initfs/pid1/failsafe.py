"""Failsafe mode: what a person needs to get in, and nothing else. `rc.failsafe` makes it; here it is only begun, and said.

Asked for by the kernel's command line, a button, a record of boots that never became healthy (rc.init, with the program `failsafe`), or a service
with `on-failure` failsafe.
"""

from __future__ import annotations

import os

from initfs import files, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.scripts import Scripts
    from initfs.pid1.surroundings import Settings
    from initfs.supervise.journal import Journal

USAGE = "failsafe"
FILE = "/run/initfs/failsafe"  # why; it is there in failsafe mode only
SCRIPT = "rc.failsafe"


class Failsafe:
    """The mode, off to begin with."""

    def __init__(self, scripts: Scripts, journal: Journal, console: int, directory: str) -> None:
        self.on = False
        self._scripts = scripts
        self._journal = journal
        self._console = console
        self._directory = directory

    def enter(self, why: str) -> None:
        """Change to it, once."""
        if self.on:
            return
        self.on = True
        text = f"failsafe mode: {why}"
        say.warning(text)
        files.tried(
            "say so on the console", lambda: os.write(self._console, f"init: warning: {text}\r\n".encode())
        )
        files.tried("leave a note", lambda: files.write(FILE, f"{why}\n".encode()))
        self._journal.publish("", "failsafe", 1, why)
        self._scripts.run("failsafe", f"{self._directory}/{SCRIPT}", why)


def asked(given: Settings) -> str:
    """Why this boot is to be a failsafe one; "" when it is not."""
    if given.parameters.failsafe:
        return "the kernel's command line asks for it"
    from initfs.pid1 import button  # the first service does not wait for it

    if button.pressed(given.base):
        return "somebody holds the button"
    return ""


def main(argv: list[str]) -> int:
    """The program `failsafe`: ask process 1 for it."""
    if len(argv) > 1:
        raise say.usage(USAGE)
    from initfs.pid1 import asking

    asking.send(asking.Failsafe())
    return say.OK
