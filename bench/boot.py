"""How fast boards boot: medians over several runs, from the events of the guest (seconds since its kernel's start).

Everything up to the kernel's start (QEMU, firmware, loading the image) is not in these numbers; `wall` is: the host's clock from
starting QEMU until all services are ready.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from board import build, host, model
from qemu import boot
from qemu.image import announcing
from qemu.times import COLUMNS, table, times
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from board.report import Report

LIMIT = 300.0  # seconds for one boot; a good case takes ten
WALL = "wall"
COLUMN_NAMES = (*COLUMNS, WALL)


def measure(boards: Sequence[str], runs: int, report: Report) -> dict[str, dict[str, float]]:
    """Boot each board `runs` times, one after the other; return the medians, and keep them in build/bench/boot.json.

    Raises Failure and VmError: a board that does not boot has no time.
    """
    found = {}
    for name in boards:
        board = model.load(name)
        boot.emulator(board)
        image = build.build(board, reporter=report)
        with report.step(f"boot {name} {runs} times"):
            found[name] = medians([once(board, image) for _ in range(runs)])
    keep(found, runs)
    return found


def once(board: model.Board, image: build.Image) -> dict[str, float]:
    """Boot, wait until everything is up, pull the plug; return the times."""
    began = time.monotonic()
    with Machine(board, image) as vm:
        vm.wait_booted(announcing(boot.files(image)), timeout=LIMIT)
        wall = time.monotonic() - began
        return {**times(vm.events), WALL: wall}


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each time over those runs that have it."""
    columns: dict[str, list[float]] = {}
    for run in runs:
        for name, seconds in run.items():
            columns.setdefault(name, []).append(seconds)
    return {name: round(statistics.median(values), 3) for name, values in columns.items()}


def keep(found: Mapping[str, Mapping[str, float]], runs: int) -> None:
    """Write the numbers where later ones can be compared with them."""
    document = {
        "unit": "seconds since the kernel's start; wall: since the start of QEMU",
        "runs": runs,
        "boards": found,
    }
    host.replace(host.ROOT / "build" / "bench" / "boot.json", json.dumps(document, indent=1).encode() + b"\n")


def text(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table that people see."""
    return table(found, COLUMN_NAMES)
