"""The benchmarks, for `inv bench`."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.tasks import task

from bench import boot as booting
from bench import supervise as supervising
from bench.suites import DEFAULT, choose
from board import model
from board.host import Failure
from board.report import Report, mode
from qemu.tasks import failures


@task(help={"board": "name, or all", "runs": "boots of each", "json": "lines of JSON"})
def boot(_: object, board: str = "all", runs: int = 3, json: bool = False) -> None:
    """Kernel start to /init, to Python's first line, to the tree, to getty, to the lease: medians, per board."""
    names = model.names() if board == "all" else [board]
    with failures(), Report(mode(as_json=json)) as report:
        found = booting.measure(names, runs, report)
    print(booting.text(found))


@task(
    help={
        "counts": "numbers of services, with commas",
        "suites": "with commas, or all: floor, initfs, s6, runit, busybox, supervisord",
        "runs": "of each suite with each number",
        "json": "lines of JSON",
    }
)
def supervise(
    _: object, counts: str = "10,100,500,1000", suites: str = DEFAULT, runs: int = 5, json: bool = False
) -> None:
    """Services started, memory, idleness, restarts, the end: ours beside other supervisors and a floor, with ratios."""
    with failures(), Report(mode(as_json=json)) as report:
        found = supervising.compare(choose(suites), numbers(counts), max(1, runs), report)
    print(supervising.FILE.read_text() if json else supervising.text(found), end="")


def numbers(text: str) -> list[int]:
    """Return the numbers in a list with commas."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal() or not int(word):
            raise Failure("read --counts", f"{word!r} is not a number of services", usage=True)
    return [int(word) for word in words]


collection = Collection("bench", boot, supervise)
