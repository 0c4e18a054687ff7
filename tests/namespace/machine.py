"""A real process 1 in its own pid, mount and network namespace, without QEMU: seconds become milliseconds.

The root is made of this machine's /usr and Python, read-only, and of a fresh /etc/initfs, /run and /tmp. `reboot(2)` in a pid
namespace ends it with a signal that tells which: SIGHUP for reboot, SIGINT for power-off and halt (pid_namespaces(7)).
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

ROOT = Path(__file__).parents[2]
STAGE = """
set -e
cd "$1"
mount -t tmpfs tmp tmp # before what may lie in there: a checkout, for one
for each in usr "$2" "$3"; do mkdir -p "./$each"; mount --bind "/${each#/}" "./$each"; done
mount -t proc proc proc
mount -t tmpfs run run
mount --rbind /dev dev
mkdir -p run/initfs run/service run/uncaught-logs
mount --bind "$4" host
[ ! -f host/cmdline ] || mount --bind host/cmdline proc/cmdline
cp -a etc/initfs/early/. run/service/
mkfifo -m 600 run/service/svscan-log/fifo
export PYTHONPATH="$3" PYTHONDONTWRITEBYTECODE=1 PATH=/usr/bin:/bin
printf '#!/bin/sh\\nexec "%s" -sSP -c "$BECOME" "$@" 2>>/host/console\\n' "$5" >init
chmod +x init
export BECOME="$6"
exec /usr/sbin/chroot . /init
"""
# A root that `init-maker` has made the tree of: its stage 1 does the rest. $7 and on are the kernel's words.
MADE = """
set -e
cd "$1"
mount -t tmpfs tmp tmp
for each in usr "$2" "$3"; do mkdir -p "./$each"; mount --bind "/${each#/}" "./$each"; done
mount -t proc proc proc
mount --rbind /dev dev
mount --bind "$4" host
: >host/console
[ ! -e dev/console ] || mount --bind host/console dev/console
export PYTHONPATH="$3" PYTHONDONTWRITEBYTECODE=1
shift 6
exec /usr/sbin/chroot . /init "$@" 2>>host/console
"""
BECOME = 'from initfs.pid1.init import main; main(["init"])'
# Like it, but every SIGWINCH is an error in the loop, twice in a row: what process 1 must survive.
BROKEN = """
from initfs.pid1 import init
from initfs.supervise.scanner import Svscan
def act(self, before=Svscan._act):
    if "broken" in self._pending:
        raise RuntimeError("broken on purpose")
    before(self)
def signalled(self, signum, before=Svscan.signalled):
    before(self, signum)
    self._pending += "broken" * (signum == 28)
Svscan._act, Svscan.signalled = act, signalled
init.main(["init"])
"""
CATCH_ALL = """#!/bin/sh
exec <fifo >/dev/null
echo >&3
exec 3>&-
exec cat >>/host/catch-all
"""


class Machine:
    """One boot. `with Machine(tmp_path) as machine:`; services are given by name and content of `run`."""

    def __init__(
        self,
        path: Path,
        services: dict[str, str] | None = None,
        *,
        rc_init: str = "exit 0",
        rc_shutdown: str = "exit 0",
        broken: bool = False,
        made: list[str] | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        """MADE are options of init-maker, which then makes the tree; WORDS the kernel's."""
        self.root, self.host = path / "root", path / "host"
        self.events: list[dict[str, Any]] = []
        self._partial = b""
        self.become = BROKEN if broken else BECOME
        for name in ("etc/initfs/early", "run", "tmp", "proc", "dev", "usr", "host"):
            (self.root / name).mkdir(parents=True)
        self.host.mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        self.write_service("svscan-log", CATCH_ALL, {"notification-fd": "3\n"})
        for name, run in (services or {}).items():
            self.write_service(name, run)
        self.script("rc.init", rc_init)
        self.script("rc.shutdown", rc_shutdown)
        self.stage, self.words = STAGE, words
        self.inherited: tuple[int, ...] = ()  # descriptors that it gets
        self.before_connecting: Any = lambda: None
        if made is not None:
            self._make(made)

    def _make(self, options: list[str]) -> None:
        """Have init-maker make the tree, with our scripts as its skeleton, and a program `initfs` for it."""
        self.stage = MADE
        program = self.root / "opt/initfs"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m initfs.main "$@"\n')
        program.chmod(0o755)
        tree = self.root / "etc/initfs/current"
        given = ["-f", self.root / "etc/initfs", "-p", "/opt:/usr/bin:/bin", *options, tree]
        command = [sys.executable, "-m", "initfs.main", "init-maker", *map(str, given)]
        subprocess.run(command, cwd=ROOT, check=True)
        (self.root / "init").symlink_to("etc/initfs/current/bin/init")

    def write_service(self, name: str, run: str, files: dict[str, str] | None = None) -> Path:
        """A service directory among the early ones."""
        directory = self.root / "etc/initfs/early" / name
        directory.mkdir(parents=True)
        for file, content in {"run": run, **(files or {})}.items():
            (directory / file).write_text(content)
            (directory / file).chmod(0o755 if content.startswith("#!") else 0o644)
        return directory

    def script(self, name: str, body: str) -> None:
        """A script of the admin, beside rc.init."""
        path = self.root / "etc/initfs" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def __enter__(self) -> Self:
        python = os.path.realpath(sys.executable)
        prefix = Path(sys.base_prefix).resolve()
        self.process = subprocess.Popen(
            ["unshare", "--fork", "--pid", "--mount", "--net", "--kill-child", "--propagation", "private",
             "sh", "-c", self.stage, "sh", str(self.root), str(prefix), str(ROOT), str(self.host), python, self.become,
             *self.words],
            stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=self.inherited,
        )  # fmt: skip
        self.pid = self._find_pid()
        self.before_connecting()
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _find_pid(self) -> int:
        """Process 1 as this side numbers it: unshare's only child."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(wait_until(lambda: path.read_text().split(), "the namespace's process 1")[0])

    def _connect(self) -> None:
        """Subscribe to the events, through process 1's own view of the file system."""
        path = f"/proc/{self.pid}/root/run/initfs/events"

        def connect() -> socket.socket | None:
            connected = socket.socket(socket.AF_UNIX)
            try:
                os.stat(f"/proc/{self.pid}/root/run/service")
                connected.connect(path)
            except OSError:
                connected.close()
                return None
            return connected

        self._socket = wait_until(connect, "the event socket")

    def wait_for(self, event: str, service: str = "", timeout: float = 20.0) -> dict[str, Any]:
        """The first event of that name and service, seen already or still to come."""
        deadline = time.monotonic() + timeout
        for known in self.events:
            if (known["event"], known["service"]) == (event, service):
                return known
        while (seen := self.next(deadline - time.monotonic())) is not None:
            if (seen["event"], seen["service"]) == (event, service):
                return seen
        raise AssertionError(
            f"no {event} of {service!r} within {timeout} s; events: {self.events}; console: {self.console}"
        )

    def next(self, timeout: float) -> dict[str, Any] | None:
        """The next event; None when the time is over or the tree is gone."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while b"\n" not in self._partial:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                try:
                    data = self._socket.recv(65536)
                except ConnectionResetError:  # what we had not read yet is lost with it
                    data = b""
                if not data:
                    return None
                self._partial += data
        line, _, self._partial = self._partial.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        self.events.append(event)
        return event

    def again(self) -> None:
        """Process 1 executes itself anew: wait for the end of its former events, and follow the new ones."""
        while self.next(20.0) is not None:
            pass
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            self._socket.close()
            self.events, self._partial = [], b""
            self._connect()
            if (
                self.next(20.0) is not None
            ):  # else we reached the socket of an execution that was about to end
                return
        raise AssertionError(f"no new events; console: {self.console}")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run one of our programs inside."""
        return self.inside(os.path.realpath(sys.executable), "-m", "initfs.main", *argv)

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside."""
        enter = ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd=/", "--"]
        command = [*enter, "env", f"PYTHONPATH={ROOT}", "PATH=/usr/bin:/bin", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    def signal(self, name: str) -> None:
        """Send process 1 a signal; after STOP it has stopped, which it does when the kernel next has a look at it."""
        os.kill(self.pid, getattr(signal, f"SIG{name}"))
        if name == "STOP":
            stat = Path(f"/proc/{self.pid}/stat")
            wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "a stop")

    def wait_end(self, timeout: float = 30.0) -> int:
        """Wait for the namespace's end; the signal that tells how it ended, or the exit code."""
        return self.process.wait(timeout)

    @property
    def console(self) -> str:
        return (self.host / "console").read_text()


def wait_until(look: Any, what: str, timeout: float = 20.0) -> Any:
    """Look again until there is something. For what announces itself nowhere: the birth of a process, a file."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            found = look()
        except OSError:
            found = None
        if found:
            return found
        select_pause()
    raise AssertionError(f"{what}: not within {timeout} s")


def select_pause() -> None:
    """A hundredth of a second, for what can't be waited for."""
    with selectors.DefaultSelector() as selector:
        selector.select(0.01)
