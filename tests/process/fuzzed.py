"""A tree with somebody that bad input is for, and bystanders that are to notice nothing."""

from __future__ import annotations

import os
import shutil
import time

from tests.process.tree import Tree
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("INITFS_ROUNDS", "1"))  # docs/reliability.md


class Fuzzed(Tree):
    """A tree with a target, and a bystander that nothing may happen to."""

    checks = 0

    def begin(self) -> Fuzzed:
        self.add("bystander")
        self.add("bystander/log", "exec cat >/dev/null")
        self.target = self.add("target", finish="exit 0")
        self.start()
        self.bystanders = [self.wait_for("up", name)["pid"] for name in ("bystander", "bystander/log")]
        self.wait_for("up", "target")
        self.wait_furnished("target")
        return self

    def clean(self) -> None:
        """Take out what `settle` has left: of services there is a limit."""
        markers = list(self.scandir.glob("zz-*"))
        for path in markers:
            lose(path)
        self.control("an")
        for path in markers:
            self.wait_for("released", path.name)

    def check(self) -> None:
        """It still acts, nothing was a bug, and the bystanders live."""
        self.settle()
        self.checks += 1
        if self.checks % 200 == 0:
            self.clean()
        assert all(map(alive, self.bystanders)), self.said
        assert "bug" not in self.said
        assert "Traceback" not in self.said


def lose(directory: Path) -> None:
    """Remove it while somebody writes into it."""
    deadline = time.monotonic() + 20
    while directory.exists():
        shutil.rmtree(directory, ignore_errors=True)
        assert time.monotonic() < deadline
