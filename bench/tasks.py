"""The benchmarks, for `inv bench`."""

from __future__ import annotations

from invoke.tasks import task

from bench import boot as booting
from bench import init as beginning
from bench import local as serving
from bench import log as logging
from bench import network as networking
from bench import rc as managing
from bench import supervise as supervising
from bench.suites import DEFAULT, choose
from board import model
from board.host import Failure
from board.report import Report, mode
from qemu.tasks import failures

SUPERVISED, MANAGED = "10,100,500,1000", "100,1000,5000"  # numbers of services
LOGGED = "1000"  # MB
CONNECTIONS = 400  # of each round of `local`


@task(
    positional=["what"],
    help={
        "what": "boot, init, supervise, local, log, rc or network",
        "board": "boot: name, or all",
        "counts": "supervise, rc: numbers of services, with commas",
        "suites": "supervise: with commas, or all: floor, initfs, s6, runit, busybox, supervisord",
        "runs": "of each board, or of each suite with each number",
        "json": "lines of JSON",
    },
)
def bench(
    _: object,
    what: str,
    board: str = "all",
    counts: str = "",
    suites: str = DEFAULT,
    runs: int = 3,
    json: bool = False,
) -> None:
    """Measure: `inv bench boot`, `inv bench init`, `inv bench supervise`, `inv bench local`, `inv bench log`, `inv bench rc` or `inv bench network`. Medians, as a table; numbers under build/bench/.

    boot: kernel start to /init, to Python's first line, to the tree, to getty, to the lease, per board. init: a line of time from the power on, the share of process 1, its memory, how long it is away when it executes itself anew, and the same image with busybox and s6 as process 1. supervise: services started,
    memory, idleness, restarts, the end: ours beside other supervisors and a floor, with ratios. local: connections, orders, descriptors
    held, memory: ours beside s6's servers. log: MB a second through ours and other loggers (counts: MB). rc: compiling, beginning, changing, listing, ending: ours beside s6-rc and dinit, if PATH has them. network: cable to address, fw without changes, pings lost: ours beside busybox's examples.
    """
    with failures():
        if what in ("boot", "init"):
            begun(what, model.virtual() if board == "all" else [board], runs, json=json)
        elif what == "network":
            with Report(mode(as_json=json)) as report:
                ways = networking.measure(max(1, runs), report)
            print(networking.FILE.read_text() if json else networking.text(ways))
        elif what == "supervise":
            with Report(mode(as_json=json)) as report:
                found = supervising.compare(
                    choose(suites), numbers(counts or SUPERVISED), max(1, runs), report
                )
            print(supervising.FILE.read_text() if json else supervising.text(found), end="")
        elif what == "local":
            with Report(mode(as_json=json)) as report:
                served = serving.compare(max(1, runs), CONNECTIONS, report)
            print(serving.FILE.read_text() if json else serving.text(served), end="")
        elif what == "log":
            with Report(mode(as_json=json)) as report:
                written = logging.compare((numbers(counts or LOGGED))[0] * 10**6, max(1, runs), report)
            print(logging.FILE.read_text() if json else logging.text(written), end="")
        elif what == "rc":
            with Report(mode(as_json=json)) as report:
                managed = managing.compare(numbers(counts or MANAGED), max(1, runs), report)
            print(managing.FILE.read_text() if json else managing.text(managed), end="")
        else:
            raise Failure("measure", f"{what!r} is neither boot, supervise, local, log nor rc", usage=True)


def begun(what: str, boards: list[str], runs: int, *, json: bool) -> None:
    """Measure boots: when their milestones come, or what process 1 does in them."""
    with Report(mode(as_json=json)) as report:
        if what == "boot":
            print(booting.text(booting.measure(boards, runs, report)))
        else:
            found = beginning.measure(boards, runs, report)
            print(beginning.FILE.read_text() if json else beginning.text(found))


def numbers(text: str) -> list[int]:
    """Return the numbers in a list with commas."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal() or not int(word):
            raise Failure("read --counts", f"{word!r} is not a number of services", usage=True)
    return [int(word) for word in words]
