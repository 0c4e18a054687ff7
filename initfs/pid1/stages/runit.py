"""runit: process 1 with runit's three stages, for systems that are laid out for it. Our own images begin with `init` instead.

Source: `spec/init.md` 7.9, runit(8). Three programs are run one after the other; the second is the long one. SIGCONT asks for the end if
`stopit` is executable, SIGINT runs `ctrlaltdel` first. Afterwards `reboot`, when it is executable for its owner, says which end.
"""

from __future__ import annotations

import os

from initfs import kernel, process, say, signals
from initfs.loop import NEVER, Loop, now
from initfs.pid1.stages import plan
from initfs.pid1.stages.plan import OVER, PAUSE, TWO, Ended

USAGE = "runit (as process 1)"
DIRECTORY = "/etc/runit"
CAUGHT = (signals.CHLD, signals.CONT, signals.INT)


class Runit:
    """The program."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.loop.on_signals(self._signalled, *CAUGHT)
        self.stage = 1
        self.pid = 0
        self.asked = False
        self._due = 0.0  # when to start the stage, or to kill it
        self._keys = 0  # the pid of ctrlaltdel

    def run(self) -> None:
        """Run the stages; returns when the third is over."""
        while self.stage != OVER:
            if now() >= self._due:
                self._act()
            self.loop.turn(self._due)

    def _act(self) -> None:
        self._due = NEVER
        if self.pid:
            process.kill(self.pid, signals.KILL)
            return
        path = f"{DIRECTORY}/{self.stage}"
        say.info(f"stage {self.stage}: {path}")
        try:
            self.pid = process.spawn(path, [path], os.environ)
        except OSError as error:
            say.warning(f"unable to run {path}: {say.reason(error)}")
            self._ended(127 << 8)

    def _signalled(self, signum: int) -> None:
        if signum == signals.CHLD:
            for pid, status in process.reap():
                if pid == self.pid:
                    self._ended(status)
                elif pid == self._keys:
                    self._keys = 0
                    self._ask()
        elif self.stage == TWO and signum == signals.INT:
            self._press()
        elif self.stage == TWO:
            self._ask()

    def _ended(self, status: int) -> None:
        following = plan.follow(Ended(self.stage, status, self.asked))
        if following.kill and self.pid:
            process.kill(-self.pid, signals.KILL)
        self.pid = 0
        self.stage = following.stage
        self._due = now() + following.after

    def _press(self) -> None:
        """Ctrl-alt-del: its program first, if there is one."""
        path = f"{DIRECTORY}/ctrlaltdel"
        if self._keys or not executable(path):
            return
        try:
            self._keys = process.spawn(path, [path], os.environ)
        except OSError as error:
            say.warning(f"unable to run {path}: {say.reason(error)}")
            self._ask()

    def _ask(self) -> None:
        """End stage 2, if that may be."""
        if executable(f"{DIRECTORY}/stopit") and self.pid and not self.asked:
            self.asked = True
            process.kill(self.pid, signals.TERM)
            self._due = now() + PAUSE


def executable(path: str) -> bool:
    """Whether the file is executable for its owner: how these files say yes."""
    try:
        return bool(os.stat(path).st_mode & 0o100)
    except OSError:
        return False


def main(argv: list[str]) -> int:
    if os.getpid() != 1 or len(argv) > 1:
        raise say.usage(USAGE)
    signals.ignore(signals.PIPE)
    Runit().run()
    if not os.path.exists(f"{DIRECTORY}/nosync"):
        os.sync()
    kernel.reboot("reboot" if executable(f"{DIRECTORY}/reboot") else "halt")
    while True:  # the kernel did not do as asked; process 1 must not exit
        Loop().turn()
