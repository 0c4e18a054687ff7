"""The benchmarks, for `inv bench`."""

from __future__ import annotations

from invoke.tasks import task

from bench import boot as booting
from bench import local as serving
from bench import supervise as supervising
from bench.suites import DEFAULT, choose
from board import model
from board.host import Failure
from board.report import Report, mode
from qemu.tasks import failures

CONNECTIONS = 600  # of each round of `local`


@task(
    positional=["what"],
    help={
        "what": "boot, supervise or local",
        "board": "boot: name, or all",
        "counts": "supervise: numbers of services, with commas",
        "suites": "supervise: with commas, or all: floor, initfs, s6, runit, busybox, supervisord",
        "runs": "of each board, or of each suite with each number",
        "json": "lines of JSON",
    },
)
def bench(
    _: object,
    what: str,
    board: str = "all",
    counts: str = "10,100,500,1000",
    suites: str = DEFAULT,
    runs: int = 3,
    json: bool = False,
) -> None:
    """Measure: `inv bench boot`, `inv bench supervise` or `inv bench local`. Medians, as a table; numbers under build/bench/.

    boot: kernel start to /init, to Python's first line, to the tree, to getty, to the lease, per board. supervise: services started,
    memory, idleness, restarts, the end: ours beside other supervisors and a floor, with ratios. local: connections, orders, descriptors
    held, memory: ours beside s6's servers.
    """
    with failures():
        if what == "boot":
            names = model.names() if board == "all" else [board]
            with Report(mode(as_json=json)) as report:
                times = booting.measure(names, runs, report)
            print(booting.text(times))
        elif what == "supervise":
            with Report(mode(as_json=json)) as report:
                found = supervising.compare(choose(suites), numbers(counts), max(1, runs), report)
            print(supervising.FILE.read_text() if json else supervising.text(found), end="")
        elif what == "local":
            with Report(mode(as_json=json)) as report:
                served = serving.compare(max(1, runs), CONNECTIONS, report)
            print(serving.FILE.read_text() if json else serving.text(served), end="")
        else:
            raise Failure("measure", f"{what!r} is neither boot, supervise nor local", usage=True)


def numbers(text: str) -> list[int]:
    """Return the numbers in a list with commas."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal() or not int(word):
            raise Failure("read --counts", f"{word!r} is not a number of services", usage=True)
    return [int(word) for word in words]
