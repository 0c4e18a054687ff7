"""The benchmarks, for `inv bench`."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.tasks import task

from bench import boot as booting
from board import model
from board.report import Report, mode
from qemu.tasks import failures


@task(help={"board": "name, or all", "runs": "boots of each", "json": "lines of JSON"})
def boot(_: object, board: str = "all", runs: int = 3, json: bool = False) -> None:
    """Kernel start to /init, to Python's first line, to the tree, to getty, to the lease: medians, per board."""
    names = model.names() if board == "all" else [board]
    with failures(), Report(mode(as_json=json)) as report:
        found = booting.measure(names, runs, report)
    print(booting.text(found))


collection = Collection("bench", boot)
