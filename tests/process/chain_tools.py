"""What the tests of the chain loaders share: our programs under their own names in a directory, and the real ones."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initfs.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
EXECLINE = "/usr/lib/execline/bin"
DEADLINE = 10.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes ids: needs root")


@functools.cache
def programs() -> Path:
    """A directory with `initfs` and a link to it for each chain loader; it starts Python as an image does."""
    directory = Path(tempfile.mkdtemp(prefix="chain-"))
    atexit.register(shutil.rmtree, directory)
    directory.chmod(0o755)
    script = directory / "initfs"
    text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom initfs.main import main\nsys.exit(main())\n"
    script.write_text(f"#!{sys.executable} -IS\n{text}")
    script.chmod(0o755)
    for name, module in PROGRAMS.items():
        if module.startswith(("initfs.chain.", "initfs.notify.")):
            (directory / name).symlink_to("initfs")
    return directory


def run(
    *argv: str,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: bytes = b"",
    fds: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run one of our programs, found in `programs()`, with an environment of its own, to its end."""
    with subprocess.Popen(
        [str(programs() / argv[0]), *argv[1:]],
        env={"PATH": PATH} if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=fds,
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


def start(*argv: str, cwd: str | Path | None = None, **other: Any) -> subprocess.Popen[bytes]:
    """Start one of our programs and do not wait."""
    command = [str(programs() / argv[0]), *argv[1:]]
    return subprocess.Popen(command, env={"PATH": PATH}, cwd=cwd, **other)


def out(*argv: str, env: Mapping[str, str] | None = None, cwd: str | Path | None = None) -> str:
    """What one of our programs, which must end well, writes."""
    done = run(*argv, env=env, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def code(*argv: str, cwd: str | Path | None = None) -> int:
    return run(*argv, cwd=cwd).returncode


def real(name: str) -> str:
    """The path of another suite's program, or the test is skipped."""
    found = shutil.which(name, path=f"{PATH}:{EXECLINE}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def theirs(
    *argv: str, env: Mapping[str, str] | None = None, cwd: str | Path | None = None
) -> tuple[int, bytes]:
    """(exit code, output) of another suite's program, or the test is skipped."""
    done = subprocess.run(
        [real(argv[0]), *argv[1:]],
        env={"PATH": PATH} if env is None else dict(env),
        cwd=cwd,
        input=b"",
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout


def ours(
    *argv: str, env: Mapping[str, str] | None = None, cwd: str | Path | None = None
) -> tuple[int, bytes]:
    """(exit code, output) of one of our programs."""
    done = run(*argv, env=env, cwd=cwd)
    return done.returncode, done.stdout


def until(true: Callable[[], object], what: str) -> None:
    """Wait for what no event tells, for instance that another process has got as far; fail at the deadline."""
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what}"
        os.sched_yield()


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def state(pid: int) -> str:
    """The kernel's letter for what a process does: S sleeps, Z is dead, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
