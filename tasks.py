"""The verbs: `./inv --list` shows them."""

from __future__ import annotations

import os
import shlex
import sys

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from bench.tasks import bench
from board import tasks as board
from board.disk import tasks as disk
from qemu import tasks as qemu

# The programs of other suites that the tests run beside ours, and what the image builder needs.
PACKAGES = (
    "runit",
    "daemontools",
    "s6",
    "execline",
    "busybox-static",
    "cpio",
    "dnsmasq-base",
    "dropbear-bin",
    "gpm",
    "iproute2",
    "nftables",
    "procps",
    "strace",
    "util-linux",
    "e2fsprogs",
    "fdisk",
    "mount",
    "mtools",
    "signify-openbsd",
    "unscd",
    "vpnc",
)

QUICK = "not vm and not image"  # pytest's words for what needs no image
NOTHING_CHOSEN = 5  # pytest's exit code when no test has such a name
MEMORY = "/dev/shm"  # where a rename does not wait for a disk
ROOM = 2 << 30  # bytes; tests leave behind some 200 MB

# Tests that do more when INITFS_ROUNDS says so (docs/reliability.md).
CAMPAIGNS = (
    "tests/process/test_init_faults.py",
    "tests/process/test_supervise_fuzz.py",
    "tests/process/test_supervise_flood.py",
    "tests/process/test_manager_kills.py",
    "tests/process/test_manager_update_faults.py",
    "tests/namespace/test_init.py",
    "tests/namespace/test_init_end.py",
    "tests/namespace/test_init_kills.py",
    "tests/namespace/test_init_renewal.py",
    "tests/vm/test_power_cut.py",
)


@task(
    help={
        "quick": "without QEMU",
        "k": "only tests whose names match",
        "jobs": "at once; without QEMU twice as many, for those tests mostly wait",
        "faults": "the fault campaigns, with a hundred times the rounds",
        "rounds": "of the campaigns, instead of a hundred",
        "seed": "of the campaigns; they print theirs when they fail",
    }
)
def test(
    context: Context,
    quick: bool = False,
    k: str = "",
    jobs: int = 2,
    faults: bool = False,
    rounds: int = 100,
    seed: str = "",
) -> None:
    """Run the tests: style, types, pure, process, namespace, image and vm. --quick leaves out what boots a machine."""
    from board.host import need

    with board.telling():
        need(PACKAGES)
    words = [sys.executable, "-m", "pytest", "--dist", "loadgroup", *(["-k", k] if k else [])]
    words += [*CAMPAIGNS, "-sv", "--timeout", "0", "--durations", "20"] if faults else []
    words += ["--hypothesis-seed", seed] if faults and seed else []
    environment = {"INITFS_ROUNDS": str(rounds)} if faults else {}
    environment |= {"INITFS_SEED": seed} if seed else {}
    phases = [QUICK] if quick else [QUICK, f"not ({QUICK})"]
    codes = []
    for chosen in phases:
        light = chosen == QUICK and not faults
        command = shlex.join([*words, "-m", chosen, "-n", str(jobs * 2 if light else jobs)])
        around = environment | (_in_memory() if light else {})
        codes.append(context.run(command, pty=sys.stdout.isatty(), env=around, warn=True).exited)
    if set(codes) - {0, NOTHING_CHOSEN} or set(codes) == {NOTHING_CHOSEN}:
        raise Exit(code=max(codes))


def _in_memory() -> dict[str, str]:
    """What has pytest make its temporary directories in memory, as /run is on a board; nothing where that is not possible."""
    try:
        there = os.statvfs(MEMORY)
    except OSError:
        return {}
    fit = there.f_bavail * there.f_frsize >= ROOM and not there.f_flag & os.ST_NOEXEC
    return {"PYTEST_DEBUG_TEMPROOT": MEMORY} if fit and os.access(MEMORY, os.W_OK) else {}


@task(
    iterable=["suite", "command"],
    help={"suite": "Debian's release; repeatable", "command": "repeatable", "keep": "leave the root there"},
)
def fresh(
    context: Context,
    suite: list[str] | None = None,
    command: list[str] | None = None,
    keep: bool = False,
) -> None:
    """Try the README's commands in a new Debian root: cold, warm without network, in a second checkout. Needs root."""
    words = [sys.executable, "-m", "tests.fresh.machine", *(["--keep"] if keep else [])]
    words += [word for name in suite or () for word in ("--suite", name)]
    words += [word for text in command or () for word in ("--command", text)]
    context.run(shlex.join(words), pty=sys.stdout.isatty())


@task
def lint(context: Context, fix: bool = False) -> None:
    """Check style and types; --fix mends what can be mended."""
    if fix:
        context.run(f"{sys.executable} -m ruff format .")
    context.run(f"{sys.executable} -m ruff check {'--fix' if fix else ''} .")
    context.run(f"{sys.executable} -m mypy")


@task
def table(context: Context) -> None:
    """Rewrite what is made from code: the automaton's printed cells (tests/golden/) and docs/features.md."""
    context.run(f"{sys.executable} -m tests.golden.cells --write")
    context.run(f"{sys.executable} -m tests.features --write")


namespace = Collection(test, fresh, lint, bench, table)
verbs = (Collection.from_module(board), Collection.from_module(disk), qemu.collection)
for verb in (each for collection in verbs for each in collection.tasks.values()):
    namespace.add_task(verb)
