"""What the tests of loggers share: run one of our programs, wait for files, read a log directory as a whole."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

from initfs.log.archives import PREVIOUS
from tests.process.tree import ROOT, ours
from tests.process.waiting import PATIENCE, Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC"}


def run(
    name: str, *arguments: object, text: bytes = b"", **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """One of our programs on some input, to its end."""
    options = {
        "env": ENVIRONMENT,
        "capture_output": True,
        "timeout": PATIENCE,
        "check": False,
        "input": text,
        **options,
    }
    return subprocess.run(ours(name, *arguments), **options)  # noqa: PLW1510


class Running:
    """A program of ours that reads a pipe which we hold, both ends of it, as the tree does."""

    def __init__(
        self, name: str, *arguments: object, ends: tuple[int, int] | None = None, **options: Any
    ) -> None:
        self.reading, self.writing = ends or os.pipe()
        options = {"env": ENVIRONMENT, "stderr": subprocess.PIPE, **options}
        self.process = subprocess.Popen(ours(name, *arguments), stdin=self.reading, **options)

    def write(self, data: bytes) -> None:
        """Into its pipe, as much as fits and then as it reads."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.writing, view) :]

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def signal_taken(self, signum: int) -> None:
        """Signal, and return when it has been taken: when the process sleeps again."""
        before = self._sleeps()
        self.process.send_signal(signum)
        until(lambda: self._sleeps() > before)

    def _sleeps(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def end(self) -> int:
        """Close the pipe and wait; its exit code."""
        self.close_pipe()
        return self.wait()

    def wait(self) -> int:
        self.said = self.process.communicate(timeout=PATIENCE)[1] or b""
        return self.process.returncode

    def close_pipe(self) -> None:
        for fd in (self.reading, self.writing):
            if fd >= 0:
                os.close(fd)
        self.reading = self.writing = -1

    def kill(self) -> None:
        self.process.kill()
        self.wait()


def until(true: Callable[[], object], what: str = "it") -> None:
    """Return when TRUE says something true; for what no event tells of."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise Late(f"{what} did not happen")
        select.select([], [], [], 0.005)


def archives(directory: Path) -> list[Path]:
    """The archives, oldest first."""
    if not directory.exists():
        return []
    return sorted(path for path in directory.iterdir() if path.name.startswith("@"))


def content(directory: Path) -> bytes:
    """All that is in archives and current, as they were between two rotations; nothing as long as there is no current."""
    deadline = time.monotonic() + 1.0  # a logger that was killed may have left a rotation unfinished
    while True:
        before = files_of(directory)
        try:
            data = b"".join(path.read_bytes() for path in [*archives(directory), directory / "current"])
        except FileNotFoundError:
            data = b""
        settled = files_of(directory) == before and PREVIOUS not in before
        if settled or time.monotonic() > deadline:
            return data
        select.select([], [], [], 0.001)


def files_of(directory: Path) -> dict[str, int]:
    """Names and inodes of what is in a directory; of one that is not there, none."""
    try:
        with os.scandir(directory) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except FileNotFoundError:
        return {}
