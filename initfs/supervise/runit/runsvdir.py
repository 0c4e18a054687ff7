"""runsvdir: svscan with the manners of runit's: what comes is supervised at once, what goes is brought down.

Source: `spec/supervision.md` 1.9, `docs/programs.md`. The directory is not looked at every five seconds: the kernel announces its
changes, and those of the link that leads to it (runsvchdir). TERM leaves at once and leaves the services running: the next runsvdir
goes on with them. HUP brings all of them down and ends with 111.
"""

from __future__ import annotations

import os

from initfs import options, say, signals
from initfs.loop import NEVER, now
from initfs.supervise import watch
from initfs.supervise.runit.proctitle import DOT, SHORTEST, Title
from initfs.supervise.scanner import Options, OutOfOrder, Svscan

USAGE = "runsvdir [-P] dir [text]"
COMMANDS = {signals.HUP: "t", signals.TERM: "b"}
UNANNOUNCED = 5.0  # seconds between two looks on a kernel that does not announce
ANNOUNCES = "/proc/sys/fs/dir-notify-enable"


class Runsvdir(Svscan):
    """The program."""

    def __init__(self, directory: str, title: Title | None) -> None:
        self.path = directory
        self.hung_up = False
        self.title = title
        self._watched = -1
        self._dot = now() + DOT if title else NEVER
        rescan = 0.0 if os.path.exists(ANNOUNCES) else UNANNOUNCED
        super().__init__(Options(directory, rescan=rescan, watch=True, runit=True))
        self.commands = COMMANDS
        self._watch_link()
        if title:
            self.tree.loop.watch(title.fd, title.read)

    @property
    def due(self) -> float:
        """When there is something to do again: a scan, or a dot."""
        return min(super().due, self._dot)

    def turn(self) -> bool:
        """One turn; what a scan has not found again is brought down."""
        if self.title and now() >= self._dot:
            self.title.show(b".")
            self._dot = now() + DOT
        before = self.scandir.due
        going = super().turn()
        if self.scandir.due > before:
            self.scandir.prune(kill_loggers=False)
        return going

    def signalled(self, signum: int) -> None:
        if signum == signals.IO:
            self._follow_link()
        self.hung_up = self.hung_up or signum == signals.HUP
        super().signalled(signum)

    def renew(self) -> None:
        """Runsvdir has no such command, and what it has besides the tree does not travel."""
        self.renewing = False
        say.warning("unable to execute anew: runsvdir can't")

    def _watch_link(self) -> None:
        """Hear of it when the path leads elsewhere."""
        parent = os.path.dirname(self.path.rstrip("/")) or "."
        if os.path.islink(self.path.rstrip("/")):
            here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            watch.watch(parent, here)
            os.close(here)

    def _follow_link(self) -> None:
        """Look at the directory that the path means now: its descriptor takes the place of the former one."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return  # between two links, perhaps
        if not os.path.sameopenfile(fd, self._fd):
            os.dup2(fd, self._fd, inheritable=False)
            former, self._watched = self._watched, watch.watch(".", self._fd)
            if former >= 0:
                os.close(former)
        os.close(fd)


def main(argv: list[str]) -> int:
    _, rest = options.parse(argv[1:], "P", USAGE)
    if len(rest) not in (1, 2):
        raise say.usage(USAGE)
    text = rest[1] if len(rest) > 1 else ""
    if text and len(text) < SHORTEST:
        say.warning(f"the log must have at least {SHORTEST} characters: there will be none")
    signals.ignore(signals.PIPE)
    path = os.path.abspath(rest[0])  # this process is in many directories
    program = Runsvdir(path, Title(text) if len(text) >= SHORTEST else None)
    program.begin()
    try:
        program.run()
    except OutOfOrder:
        return say.BUG
    return say.TEMPORARY if program.hung_up else say.OK
