"""What the notification tests share: our programs as processes, a directory that says who arrives, a faked supervisor."""

from __future__ import annotations

import ctypes
import os
import pathlib
import select
import shutil
import struct
import subprocess
import sys
import time

import pytest

from initfs import files
from initfs.notify import fifodir
from initfs.supervise.status import DOWN, FINISH, RUN, Status, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 20.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("NOTIFY_SOCKET", None)


def ours(name: str, *arguments: object) -> list[str]:
    """The command line of one of our programs."""
    return [sys.executable, "-m", "initfs.main", name, *map(str, arguments)]


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **options},
    )


def end(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a process that ends in time."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def run(command: list[str], **options: Any) -> tuple[int, str, str]:
    return end(start(command, **options))


def real(name: str) -> str:
    """The path of another suite's program, or the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package s6)")
    return path


class Arrivals:
    """Listeners that arrive in a fifodir, by inotify(7): a FIFO appears there by rename."""

    MOVED_TO = 0x80

    def __init__(self, *directories: pathlib.Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for directory in directories:
            if libc.inotify_add_watch(self._fd, os.fsencode(directory), self.MOVED_TO) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._fd)

    def wait(self, count: int = 1) -> None:
        """Return when COUNT more listeners have arrived."""
        deadline = time.monotonic() + PATIENCE
        while count > 0:
            assert select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0], "nobody came"
            data = os.read(self._fd, 65536)
            while data:
                size = struct.unpack_from("iIII", data)[3]
                count -= 1
                data = data[16 + size :]


class Fake:
    """A supervisor that does what it is told: status first, then letters, in a real service directory."""

    def __init__(self, directory: pathlib.Path, *, ready: bool = False, up: bool = False) -> None:
        self.directory = directory
        (directory / "supervise").mkdir(parents=True)
        fifodir.ensure(str(directory / "event"))
        os.mkfifo(directory / "supervise/control", 0o600)
        self.control = files.hold_fifo(str(directory / "supervise/control"))
        self.status(RUN if up else DOWN, ready=ready)

    def status(self, state: int, *, ready: bool = False) -> None:
        content = Status(
            state=state,
            pid=0 if state == DOWN else 4242,
            wanted=True,
            ready=ready,
            paused=False,
            termed=False,
            ran=True,
            wait_status=0,
            changed=time.time_ns(),
        )
        files.write(str(self.directory / "supervise/status"), encode(content))

    def tell(self, letters: str) -> None:
        fifodir.notify(str(self.directory / "event"), letters.encode())

    def become(self, letters: str) -> None:
        """Go through what LETTERS say, one by one, each with its status written before."""
        for letter in letters:
            if letter in "uUdD":
                self.status({"d": FINISH, "D": DOWN}.get(letter, RUN), ready=letter == "U")
            self.tell(letter)

    def die(self) -> None:
        """As by SIGKILL: nothing is told, the kernel closes the descriptors."""
        os.close(self.control)


def heard(command: list[str], at: list[pathlib.Path], then: Callable[[], object]) -> tuple[int, str, str]:
    """Start a listener, do something once it listens in every one of AT, and see how it ends."""
    with Arrivals(*at) as arrivals:
        process = start(command)
        arrivals.wait(len(at))
        then()
        return end(process)
