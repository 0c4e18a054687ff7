"""What the tests of local services share: our programs as processes, servers that are ready, rules, an account that is not root's."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from initfs.local.fdholder import client
from initfs.loop import now
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 30.0
ROUNDS = int(os.environ.get("FUZZ", "60"))  # of noise
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes ids: needs root")
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from initfs.main import main; sys.exit(main())"
# The interpreter may be where only root can read: everything is loaded before the ids change.
DROP = f"""import sys, os, ctypes; sys.path.insert(0, {str(ROOT)!r})
import initfs.main
for module in {sorted({name for name in PROGRAMS.values() if name.startswith(("initfs.local.", "initfs.chain."))})!r}:
    __import__(module)
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "namespace":
    if libc.unshare(0x10000000):
        sys.exit(77)
    for name, text in ("setgroups", "deny"), ("uid_map", "0 {NOBODY} 1"), ("gid_map", "0 {NOBODY} 1"):
        with open(f"/proc/self/{{name}}", "w") as file:
            file.write(text)
sys.argv[:2] = []
sys.exit(initfs.main.main(["initfs", *sys.argv]))
"""
REMOTE = {
    "PROTO": "IPC",
    "IPCREMOTEEUID": "1000",
    "IPCREMOTEEGID": "50",
    "IPCCONNNUM": "1",
    "IPCREMOTEPATH": "",
}
ALL_RIGHTS = {
    "FDHOLDER_STORE_REGEX": ".\n",
    "FDHOLDER_RETRIEVE_REGEX": ".\n",
    "FDHOLDER_LIST": "\n",
    "FDHOLDER_GETDUMP": "\n",
    "FDHOLDER_SETDUMP": "\n",
}


def ours(name: str, *arguments: object) -> list[str]:
    """The command line of one of our programs, started as an image does: without site."""
    return [sys.executable, "-IS", "-c", START, name, *map(str, arguments)]


def nobody(name: str, *arguments: object, kind: str = "plain") -> list[str]:
    """The same as an account without rights; KIND "namespace": that is root in a user namespace of its own."""
    return [sys.executable, "-IS", "-c", DROP, kind, name, *map(str, arguments)]


def run(command: list[str], *, env: dict[str, str] | None = None, **options: Any) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program that ends in time."""
    environment = {"PATH": os.environ["PATH"], **(env or {})}
    done = subprocess.run(
        command,
        check=False,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        **options,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def real(name: str) -> str:
    """The path of another suite's program, or the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package s6)")
    return path


def until(what: Callable[[], T | bool | None], patience: float = PATIENCE) -> T:
    """What WHAT returns once it is true, asked again as long as there is time."""
    deadline = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return found  # type: ignore[return-value]


@contextlib.contextmanager
def public() -> Iterator[pathlib.Path]:
    """A directory that every account may enter, with a short name: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="local-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@contextlib.contextmanager
def server(
    command: list[str], *, ready: bool = True, log: pathlib.Path | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that has a readiness option -1, once it is ready; at the end it is ended."""
    said = log.open("ab") if log else subprocess.DEVNULL
    options.setdefault("env", {"PATH": os.environ["PATH"]})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, **options)
    try:
        assert process.stdout is not None
        if ready:
            assert process.stdout.read(1) == b"\n", "it does not start"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        if log:
            said.close()  # type: ignore[union-attr]


def rule(directory: pathlib.Path, key: str, verdict: str = "allow", **environment: str) -> pathlib.Path:
    """Write a rule: its verdict, and variables as the content of their files."""
    place = directory / key
    place.mkdir(parents=True, exist_ok=True)
    (place / verdict).touch()
    for name, content in environment.items():
        (place / "env").mkdir(exist_ok=True)
        (place / "env" / name).write_text(content)
    for each in (place / "env", place, place.parent, directory):
        if each.exists():
            each.chmod(0o755)
    return place


def daemon(place: pathlib.Path, *options: str, name: str = "s") -> list[str]:
    """The command line of a descriptor holder with the rules in PLACE, and its socket there."""
    return ours("fdholder-daemon", "-1", *options, "-i", place / "rules", place / name)


def holder(path: pathlib.Path) -> client.Holder:
    """A conversation with the descriptor holder at PATH."""
    return client.connect(str(path), now() + PATIENCE)


def own_key() -> str:
    return f"uid/{os.geteuid()}"


def connect(path: pathlib.Path | str) -> socket.socket:
    """A connection of ours that waits, but not for ever."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(PATIENCE)
    made.connect(str(path))
    return made


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other end closes; a connection that was reset ends, too."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            found += data
    return found


def attack(path: pathlib.Path, data: bytes, fds: Sequence[int] = ()) -> bytes:
    """Send something and see what comes; the server may hang up at any moment."""
    with connect(path) as one:
        try:
            if fds:
                socket.send_fds(one, [data], fds)
            else:
                one.sendall(data)
            one.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return everything(one)


def descriptors(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def programs(place: pathlib.Path) -> pathlib.Path:
    """A directory in PLACE with all our programs under their names, for scripts."""
    there = place / "bin"
    there.mkdir()
    script = there / "initfs"
    script.write_text(f"#!{sys.executable} -IS\n{START.replace('; ', chr(10))}\n")
    script.chmod(0o755)
    for name in PROGRAMS:
        if not shutil.which(name, path="/usr/bin:/bin") or name.startswith(("fd", "ipc", "sv")):
            (there / name).symlink_to("initfs")
    return there
