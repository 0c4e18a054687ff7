"""What a test waits for, with a deadline: a line in a FIFO, the end of a process, a file; and which processes there are."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import time
from pathlib import Path

import pytest

PATIENCE = 45.0
MARK = "INITFS_TEST_TREE"
PR_SET_CHILD_SUBREAPER = 36
PIPE_SIZE = 1 << 20


def needs(*programs: str) -> None:
    """Skip the test that calls this unless all are installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


class Late(AssertionError):
    """What was waited for did not come in time."""


def widen(fd: int) -> None:
    """Let a pipe take all that a test says, unless its user's pipes have as much as they may already, pipe(7)."""
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


class Ear:
    """A FIFO that services write lines to: what a test waits for when no event tells it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        widen(self._fd)
        self._rest = b""

    def line(self, patience: float = PATIENCE) -> str:
        """The next line."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._rest:
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Late(f"nobody said anything; so far {self._rest!r}")
            self._rest += os.read(self._fd, 65536)
        head, _, self._rest = self._rest.partition(b"\n")
        return head.decode(errors="replace")

    def until(self, line: str) -> list[str]:
        """The lines before LINE."""
        before: list[str] = []
        while (found := self.line()) != line:
            before.append(found)
        return before

    def lines(self) -> list[str]:
        """The whole lines that are there already."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._fd, PIPE_SIZE)
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        os.close(self._fd)


def adopt_orphans(*, whether: bool) -> None:
    """Whatever our descendants leave behind becomes our child, prctl(2), so that it can be found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(whether), 0, 0, 0)


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def marked(mark: str) -> list[int]:
    """Our living descendants that carry MARK."""
    found, pending = [], children(os.getpid())
    while pending:
        pid = pending.pop()
        pending += children(pid)
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if f"{MARK}={mark}".encode() in environment.split(b"\0") and alive(pid):
                found.append(pid)
    return found


def alive(pid: int) -> bool:
    """Does the process live, zombies aside?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_dead(pid: int, patience: float = PATIENCE) -> None:
    """Return when the process, of whomever it is a child, has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], patience)[0]:
            raise Late(f"process {pid} is still there")
    finally:
        os.close(fd)


def wait_any(pids: list[int], patience: float) -> None:
    """Return when one of these processes has ended, or after so many seconds."""
    fds = []
    for pid in pids:
        try:
            fds.append(os.pidfd_open(pid))
        except ProcessLookupError:
            break
    else:
        select.select(fds, [], [], patience)
    for fd in fds:
        os.close(fd)


def wait_exists(path: Path, patience: float = PATIENCE) -> None:
    """Return when PATH exists. Nothing announces it, so it is looked at again, with a deadline."""
    deadline = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > deadline:
            raise Late(f"{path.name} does not appear")
        select.select([], [], [], 0.002)
