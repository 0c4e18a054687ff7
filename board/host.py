"""The build host: one kind of failure, one door to other programs, one way to ask for packages.

Everything in `board/` that runs a program or touches the machine it runs on does it through here, so that
every failure reads the same: `inv: fatal: unable to WHAT: REASON`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
FULL = "No space left"  # on device: in any program's complaint, as our locale for them is C


class Failure(Exception):
    """Something a person has to know: what could not be done, why, and (`hint`) what to do about it.

    `usage` tells a mistake in the request (exit status 100) from a failure of the work (111).
    """

    def __init__(self, what: str, reason: str, hint: str = "", *, usage: bool = False) -> None:
        super().__init__(what, reason, hint)
        self.what, self.reason, self.hint, self.usage = what, reason, hint, usage

    def __str__(self) -> str:
        """Return the message people see, one line, two with a hint."""
        line = f"inv: fatal: unable to {self.what}: {self.reason}"
        return f"{line}\n  ({self.hint})" if self.hint else line


def cache() -> Path:
    """Return the cache's folder, outside of the checkout: what is in it can always be made again."""
    if chosen := os.environ.get("INITFS_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "initfs"


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn the operating system's errors inside the block (no disk space, no permission) into a Failure."""
    try:
        yield
    except OSError as problem:
        hint = room() if problem.errno == errno.ENOSPC else ""
        raise Failure(
            what, f"{problem.strerror or problem}: {problem.filename or ''}".rstrip(": "), hint
        ) from None


def room() -> str:
    """Return the hint for a full disk: which folders need space, as few errors say."""
    return (
        f"space is needed in the cache, {cache()} (INITFS_CACHE), {tempfile.gettempdir()} (TMPDIR) and build/"
    )


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> bytes:
    """Run a program to its end and return its standard output; a Failure carries its last line of complaint.

    The locale is C (messages are compared and shown), `env` is added to our own environment.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, input=stdin, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise Failure(what, f"there is no program {os.fspath(command[0])}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        hint = room() if FULL in said else ""
        raise Failure(what, complaint(os.fspath(command[0]), done.returncode, said), hint)
    return done.stdout


def complaint(program: str, status: int, errors: str) -> str:
    """Choose what to show of a failed program: the line that tells why, or its status when it said nothing."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    # a full disk explains all the rest; the first complaint of apt or a compiler is the cause of the others
    marked = [
        *(line for line in lines if FULL in line),
        *(line for line in lines if line.startswith("E:") or "error:" in line),
        *reversed(lines),
    ]
    name = os.path.basename(program)
    if not lines:
        return f"{name} ended with status {status}"
    return f"{name} says: {marked[0]}"


def missing(packages: Sequence[str]) -> list[str]:
    """Return those of the Debian packages that are not installed on this host."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n", *packages]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, check=False
        )  # fails if one of them is unknown
    except FileNotFoundError:
        raise Failure(
            "look for packages on this host", "there is no dpkg-query", "images are built on Debian"
        ) from None
    have = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("installed ")}
    return [package for package in packages if package not in have]


def need(packages: Sequence[str]) -> None:
    """Have the Debian packages on this host: installed by root, otherwise asked for with the exact command."""
    absent = missing(packages)
    if not absent:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *absent]
    if os.geteuid() != 0:
        raise Failure("go on", f"packages are missing: {' '.join(absent)}", f"run: sudo {' '.join(command)}")
    with alone():
        if absent := missing(packages):  # still, when we had our turn
            install(absent)


def install(packages: Sequence[str]) -> None:
    """Install the Debian packages, and say so: it may take a minute."""
    print(f"inv: installing Debian packages: {' '.join(packages)}", file=sys.stderr, flush=True)
    what = f"install {' '.join(packages)}"
    # another apt-get, of somebody else, is waited for
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*command, *packages], what=what, env=quiet)
    except Failure:  # a fresh machine has no package lists, an old one has stale lists
        run(["apt-get", "update"], what="renew the package lists", env=quiet)
        run([*command, *packages], what=what, env=quiet)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of those who install: tests run at once, and need the same packages at once."""
    path = cache() / "lock" / "host"
    with failing("use the cache"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all: under a temporary name in its own folder, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Make a folder whole or not at all: the block fills a temporary one beside it, which is renamed at the end.

    If somebody else made it meanwhile, theirs stays: both have the same content, as names are made of content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if not path.exists():
            temporary.rename(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a folder, which children of a program that we have just killed may still write to, for a moment."""
    for _ in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.05)
