"""A real svscan with real children, for tests: it is driven by its FIFOs and followed by its events, never by sleeping.

Whatever a tree started carries a mark in its environment; what still lives when the tree has ended fails the test.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from initfs import files
from initfs.supervise.status import Status, decode
from tests.process.following import Following
from tests.process.service import LISTEN, SLEEP, make_service
from tests.process.waiting import (
    MARK,
    PATIENCE,
    Ear,
    Late,
    adopt_orphans,
    alive,
    children,
    marked,
    wait_any,
    wait_exists,
    widen,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ROOT = Path(__file__).parents[2]


def ours(name: str, *arguments: object) -> list[str]:
    """The command line of one of our programs."""
    return [sys.executable, "-m", "initfs.main", name, *map(str, arguments)]


class Tree(Following):
    """A scan directory, and the svscan that supervises it between `start` and `stop`."""

    def __init__(self, base: Path, *options: str, program: str = "svscan") -> None:
        super().__init__(base / "scan")
        self.base = base
        self.scandir.mkdir(parents=True, exist_ok=True)
        (base / "listen.py").write_text(LISTEN)
        self.ear = Ear(base / "ear")
        self.mark = uuid.uuid4().hex
        self.options = list(options)
        self.program = program
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: self.mark, "EAR": str(self.ear.path)}
        self._others: set[int] = set()  # children that we had before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        left = self.finish()
        if kind is None:
            assert not left, f"still running after the tree: {left}"

    # Services ------------------------------------------------------------------------------------

    def add(self, name: str, run: str | None = SLEEP, /, **knobs: str) -> Path:
        """A service in the scan directory."""
        return make_service(self.scandir / name, run, **knobs)

    def script(self, name: str, content: str) -> Path:
        """An executable in .svscan."""
        private = self.scandir / ".svscan"
        private.mkdir(exist_ok=True)
        path = private / name
        path.write_text(f"#!/bin/sh\n{content}\n")
        path.chmod(0o755)
        return path

    # The program ---------------------------------------------------------------------------------

    def start(self, *, pass_fds: tuple[int, ...] = (), prefix: tuple[str, ...] = ()) -> Self:
        """Start it; returns when it hears commands."""
        self._others = set(children(os.getpid()))
        adopt_orphans(whether=True)
        reading, writing = os.pipe()
        stderr, said = os.pipe()
        widen(stderr)
        os.set_blocking(stderr, False)
        notify = [] if self.program == "supervise" else ["-d", str(writing)]
        command = ours(self.program, *self.options, *notify, self.scandir)
        self.process = subprocess.Popen(
            [*prefix, *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(writing, *pass_fds),
        )
        os.close(writing)
        os.close(said)
        if self._stderr >= 0:
            os.close(self._stderr)
        self._stderr = stderr
        if not select.select([reading], [], [], PATIENCE)[0]:
            raise Late("svscan does not get ready")
        announced = os.read(reading, 2) + (os.read(reading, 2) if self.program == "svscan" else b"")
        os.close(reading)
        if announced != b"\n":
            self.process.wait(PATIENCE)
            self._listen()
            raise AssertionError(f"svscan did not start: {self.said}")
        self.events, self._cursor, self._rest = [], {}, b""
        self.follow()
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    # Clients -------------------------------------------------------------------------------------

    def control(self, letters: str | bytes) -> None:
        """Command svscan itself."""
        raw = letters.encode() if isinstance(letters, str) else letters
        files.send(str(self.scandir / ".svscan/control"), raw)

    def send(self, name: str, letters: str | bytes) -> None:
        """Command a service whose FIFOs are there."""
        raw = letters.encode() if isinstance(letters, str) else letters
        deadline = time.monotonic() + PATIENCE
        while True:  # the FIFOs come after the start
            try:
                return files.send(str(self.scandir / name / "supervise/control"), raw)
            except OSError as error:
                if error.errno not in (errno.ENXIO, errno.ENOENT) or time.monotonic() > deadline:
                    raise
            select.select([], [], [], 0.002)

    def client(self, *command: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a client to its end."""
        return subprocess.run(  # noqa: PLW1510
            list(map(str, command)),
            **{
                "env": {**self.environment, "SVDIR": str(self.scandir)},
                "cwd": self.scandir,
                "capture_output": True,
                "text": True,
                "timeout": PATIENCE,
                "check": False,
                **options,
            },
        )

    def ours(self, name: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one of our programs to its end."""
        return self.client(*ours(name, *arguments), **options)

    def status(self, name: str) -> Status:
        """What its status file says."""
        return decode((self.scandir / name / "supervise/status").read_bytes())

    def settle(self) -> None:
        """Return when every command that was sent so far has been acted on, and the files tell it."""
        name = f"zz-{uuid.uuid4().hex[:8]}"
        make_service(self.scandir / name, "exec true", down="")
        self.control("a")
        self.wait_for("supervised", name)
        self.wait_furnished(name)

    def wait_furnished(self, name: str) -> None:
        """Return when a service can be commanded, and all its files are there and agree: `stat` comes after `status`."""
        directory = self.scandir / name / "supervise"
        wait_exists(directory / "stat")
        deadline = time.monotonic() + PATIENCE
        while ("down", "run", "finish")[self.status(name).state] != self.told_state(name):
            if time.monotonic() > deadline:
                raise Late(f"the files of {name} do not agree")
            select.select([], [], [], 0.002)

    def told_state(self, name: str) -> str:
        """The first word of its `stat`."""
        text = (self.scandir / name / "supervise/stat").read_text()
        return text.partition(",")[0].strip()

    # The end -------------------------------------------------------------------------------------

    def stop(self, letters: str = "t") -> int:
        """Tell it to end; its exit code."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.control(letters)
            except OSError:
                self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self) -> int:
        """Its exit code, once it has ended; all it said is in `said`."""
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE
        ended = os.pidfd_open(self.process.pid)
        try:
            while not self._listen(max(0.0, deadline - time.monotonic()), ended):
                if time.monotonic() > deadline:
                    raise Late(f"it does not end; said: {self.said[-2000:]}")
        finally:
            os.close(ended)
        while self._listen():
            pass
        return self.process.wait()

    def finish(self) -> list[int]:
        """End it one way or another; what was left over, and is now killed."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except Late:
                self.process.kill()
                self.process.wait()
        left = marked(self.mark)
        deadline = time.monotonic() + 1.0
        while left and time.monotonic() < deadline:  # an orphan that is just ending
            wait_any(left, 0.2)
            left = marked(self.mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        adopt_orphans(whether=False)
        for pid in set(children(os.getpid())) - self._others:
            if not alive(pid):  # an orphan's remains
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        if self._stderr >= 0:
            os.close(self._stderr)
        self._stderr = -1
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.ear.close()
        return left
