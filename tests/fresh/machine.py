"""The README's commands as somebody types them who has just cloned, on a Debian that has nothing but git.

    python -m tests.fresh.machine                     # both commands, cold, warm without network, and in a second checkout
    python -m tests.fresh.machine --suite bookworm --command './inv test'

A minimal root is made by mmdebstrap from this host's own archive, and this checkout's HEAD is cloned into it. Each command
runs with that root as its root, in mount and pid namespaces of its own: they take all mounts and processes with
them when they end, so that nothing is left to unmount or to kill, even when we are killed.

What makes this host's network usable is handed over: apt's and pip's settings, certificates, proxies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import host, sources
from board.report import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS = ("./inv boot --run 'svstat /run/service/*'", "./inv test --quick")
SUITE = "trixie"
NEEDS = ("mmdebstrap", "git", "iproute2", "util-linux")  # here
HAS = "git,ca-certificates"  # there: what somebody has who cloned
CHECKOUT, SECOND = "root/initfs", "root/second"
# Settings of these names go along, and the files and folders that they name.
SETTINGS = (
    "PIP_",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
APT = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
FILES = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/pip.conf",
    os.path.expanduser("~/.config/pip/pip.conf"),
    os.path.expanduser("~/.pip/pip.conf"),
)
# Run by sh as process 1 of the namespaces: $1 the root, $2 the folder to work in, $3 the command, then folders to show inside.
# The last sh is not replaced by the command: it is process 1, which has to bury orphans.
ENTER = r"""
set -eu
root=$1 work=$2 command=$3
shift 3
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
for folder; do
    mkdir -p "$root$folder"
    mount --bind -o ro "$folder" "$root$folder"
done
ip link set lo up
cd "$root"
pivot_root . .
umount -l .
cd "/$work"
sh -c "$command" || exit $?
exit 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, and how it is run."""

    title: str
    command: str
    checkout: str = CHECKOUT
    online: bool = True


def plan(commands: Sequence[str]) -> list[Step]:
    """Return what is tried: everything with an empty cache; again without network; the first in another checkout."""
    cold = [Step(title=f"cold: {command}", command=command) for command in commands]
    warm = [Step(title=f"warm, offline: {command}", command=command, online=False) for command in commands]
    title = f"second checkout, offline: {commands[0]}"
    return [*cold, *warm, Step(title=title, command=commands[0], checkout=SECOND, online=False)]


def make(root: Path, suite: str) -> None:
    """Make the Debian root, and the two clones in it."""
    source = f"deb [signed-by={sources.KEYRING}] {sources.archive()} {suite} main"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={HAS}", suite, str(root), source]
    host.run(command, what=f"make a root of {suite}")
    hand_over(root)
    for checkout in (CHECKOUT, SECOND):
        host.run(["git", "clone", "--quiet", host.ROOT, root / checkout], what="clone this checkout")


def hand_over(root: Path) -> None:
    """Give the root what this host needs to reach the network."""
    dump = host.run(["apt-config", "dump"], what="ask apt for its settings").decode()
    kept = [line for line in dump.splitlines() if line.startswith(APT)]
    (root / "etc/apt/apt.conf.d/90host").write_text("".join(f"{line}\n" for line in kept))
    shutil.copytree("/etc/apt/auth.conf.d", root / "etc/apt/auth.conf.d", dirs_exist_ok=True)
    named = [value for value in settings().values() if os.path.isfile(value)]
    for path in (*FILES, *named):
        if os.path.isfile(path):
            there = root / path.lstrip("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            shutil.copy(path, there)


def settings() -> dict[str, str]:
    """Return the part of our environment that goes along."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(SETTINGS)}


def environment() -> dict[str, str]:
    """Return the environment that a command has there: a login's, and the settings that go along."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    login = {"HOME": "/root", "USER": "root", "PATH": path, "TERM": os.environ.get("TERM", "dumb")}
    return {**settings(), **login}


def folders() -> list[str]:
    """Return the folders that the settings name: they are shown inside, not copied. Those that any Debian has are not.

    An index, .../simple (PEP 503), may have the files beside it.
    """
    texts = [*settings().values(), *(Path(path).read_text() for path in FILES if os.path.isfile(path))]
    words = {word.removeprefix("file://").removesuffix("/simple") for text in texts for word in text.split()}
    return sorted(word for word in words if os.path.isdir(word) and not word.startswith(("/etc/", "/usr/")))


def run(root: Path, step: Step) -> int:
    """Run one command in the root; return its exit status. What it says goes where ours goes."""
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", *([] if step.online else ["--net"])]
    # a shell's background job, or one under nohup, ignores signals that a login does not
    ours = ["env", "--default-signal", "setpriv", "--pdeathsig", "KILL"]
    command = [*ours, "unshare", *namespaces, "sh", "-c", ENTER, "sh"]
    process = subprocess.Popen(
        [*command, root, step.checkout, step.command, *folders()],
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    try:
        return process.wait()
    finally:
        process.kill()  # the namespaces' process 1 goes with it, and everything else with that
        process.wait()


@contextmanager
def folder(*, keep: bool) -> Iterator[Path]:
    """Give a folder for the root, which is removed at the end, whatever that is."""
    path = Path(tempfile.mkdtemp(prefix="initfs.fresh."))
    try:
        yield path
    finally:
        if keep:
            print(f"kept: {path}", file=sys.stderr)
        else:
            shutil.rmtree(path)


def attempt(suite: str, commands: Sequence[str], *, keep: bool) -> bool:
    """Try everything on one suite; show the table of times; say whether all went well."""
    times: list[tuple[str, float]] = []
    good = True
    with folder(keep=keep) as path:
        began = time.monotonic()
        root = path / "root"
        make(root, suite)
        times.append((f"{suite}: making the root", time.monotonic() - began))
        for step in plan(commands):
            print(f"--- {suite}: {step.title}", file=sys.stderr, flush=True)
            began = time.monotonic()
            status = run(root, step)
            good = good and status == 0
            verdict = "" if status == 0 else f" -- FAILED, status {status}"
            times.append((f"{suite}: {step.title}{verdict}", time.monotonic() - began))
    print(table(times), file=sys.stderr)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="fresh", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", action="append", help=f"Debian's release; repeatable; {SUITE}")
    parser.add_argument("--command", action="append", help="instead of the README's; repeatable")
    parser.add_argument("--keep", action="store_true", help="leave the root where it is, and say where")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.geteuid() != 0:
        print(host.Failure("make a Debian root", "only root can mount in it"), file=sys.stderr)
        return 111
    try:
        host.need(NEEDS)
        tried = [
            attempt(suite, options.command or COMMANDS, keep=options.keep)
            for suite in options.suite or [SUITE]
        ]
    except host.Failure as failure:
        print(failure, file=sys.stderr)
        return 111
    except KeyboardInterrupt:
        print("inv: fatal: unable to go on: interrupted", file=sys.stderr)
        return 130
    return 0 if all(tried) else 1


if __name__ == "__main__":
    sys.exit(main())
