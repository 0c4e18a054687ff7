"""A real svscan with real children, for tests: it is driven by its FIFOs and followed by its events, never by sleeping.

Whatever a tree started carries a mark in its environment; what still lives when the tree has ended fails the test.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from initfs import files
from initfs.supervise.status import Status, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ROOT = Path(__file__).parents[2]
PATIENCE = 45.0
MARK = "INITFS_TEST_TREE"
PR_SET_CHILD_SUBREAPER = 36
PIPE_SIZE = 1 << 20
SLEEP = "exec sleep 999"
READY_ON_3 = "printf 'so far' >&3; echo >&3; exec sleep 999 3>&-"
LISTENER = "exec python3 -I -S ../../listen.py"  # blocks all signals and names those that come; it takes a KILL to end it
LISTEN = """import os, signal, sys
ear = open(os.environ["EAR"], "w", buffering=1)
names = [name for name in signal.Signals if name not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)]
signal.pthread_sigmask(signal.SIG_BLOCK, names)
ear.write("up\\n")
while True:
    ear.write(signal.Signals(signal.sigwait(names)).name + "\\n")
"""
EXECUTABLE = ("run", "finish", "check")


def ours(name: str, *arguments: object) -> list[str]:
    """The command line of one of our programs."""
    return [sys.executable, "-m", "initfs.main", name, *map(str, arguments)]


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


def make_service(service: Path, run: str | None = SLEEP, /, **knobs: str) -> Path:
    """A service directory; RUN and other programs are shell scripts, `_` in a knob's name stands for `-`."""
    service.mkdir(parents=True, exist_ok=True)
    if run is not None:
        knobs["run"] = run
    # `run` comes last and by rename: in a watched directory a service begins to be with it.
    for name, content in knobs.items():
        path = service / f".{name}.new"
        path.write_text(f"#!/bin/sh\n{content}\n" if name in EXECUTABLE else content)
        path.chmod(0o755 if name in EXECUTABLE else 0o644)
        path.rename(service / name.replace("_", "-"))
    return service


class Tree:
    """A scan directory, and the svscan that supervises it between `start` and `stop`."""

    def __init__(self, base: Path, *options: str, program: str = "svscan") -> None:
        self.base = base
        self.scandir = base / "scan"
        self.scandir.mkdir(parents=True, exist_ok=True)
        (base / "listen.py").write_text(LISTEN)
        self.ear = Ear(base / "ear")
        self.mark = uuid.uuid4().hex
        self.options = list(options)
        self.program = program
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: self.mark, "EAR": str(self.ear.path)}
        self.process: subprocess.Popen[bytes] | None = None
        self.events: list[dict[str, Any]] = []
        self.said = ""
        self._others: set[int] = set()  # children that we had before
        self._cursor: dict[str, int] = {}
        self._socket: socket.socket | None = None
        self._rest = b""
        self._stderr = -1

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

    def follow(self) -> None:
        """Listen to its events, the remembered ones first."""
        private = os.open(self.scandir / ".svscan", os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(f"/proc/self/fd/{private}/events")  # a socket's path is short
        finally:
            os.close(private)
        self._socket.setblocking(False)

    def _listen(self, patience: float = 0.0, ended: int = -1) -> bool:
        """Take in what it says and tells; False when nothing came for so long. With ENDED: whether that has come."""
        sources: list[Any] = [self._socket] if self._socket is not None else []
        sources += [fd for fd in (self._stderr, ended) if fd >= 0]
        if not sources and patience:
            raise Late(f"it has ended; said: {self.said[-2000:]}")
        ready = select.select(sources, [], [], patience)[0]
        if self._stderr in ready:
            data = os.read(self._stderr, PIPE_SIZE)
            self.said += data.decode(errors="replace")
            if not data:
                os.close(self._stderr)
                self._stderr = -1
        if self._socket in ready and self._socket is not None:
            self._hear(self._socket)
        return bool(ready) if ended < 0 else ended in ready

    def _hear(self, source: socket.socket) -> None:
        try:
            data = source.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            event = json.loads(line)
            if not self.events or event["seq"] > self.events[-1]["seq"]:
                self.events.append(event)
        if not data:
            source.close()
            self._socket, self._rest = None, b""
            if self.process is not None and self.process.poll() is None:
                try:
                    self.follow()  # we had been too slow
                except OSError:
                    self._socket = None

    def wait_for(self, event: str, service: str = "", patience: float = PATIENCE) -> dict[str, Any]:
        """The next such event of a service after the one that was waited for before."""
        deadline = time.monotonic() + patience
        at = self._cursor.get(service, 0)
        while True:
            while at < len(self.events):
                found = self.events[at]
                at += 1
                if (found["service"], found["event"]) == (service, event):
                    self._cursor[service] = at
                    return found
            if not self._listen(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                told = [(one["service"], one["event"], one["reason"]) for one in self.events[-20:]]
                raise Late(f"no {event} of {service!r}; told: {told}; said: {self.said[-2000:]}")

    def wait_said(self, text: str, count: int = 1, patience: float = PATIENCE) -> None:
        """Return when it has said TEXT on its standard error, COUNT times."""
        deadline = time.monotonic() + patience
        while self.said.count(text) < count:
            if not self._listen(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                raise Late(f"{text!r} was not said; said: {self.said[-2000:]}")

    def happened(self, service: str = "") -> list[str]:
        """The events of a service so far."""
        while self._listen():
            pass
        return [event["event"] for event in self.events if event["service"] == service]

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
