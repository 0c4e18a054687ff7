"""Where the time of process 1 goes, and what it weighs, on each virtual board.

`share` is what we cost from the exec of process 1 to the first service: interpreter and imports, measured by starting them again in the guest,
and from the first line of ours to the first `up`, from the events. `bare` is what `python3 -I -S -c "import select, signal"` costs there: no
process 1 in Python could cost less. All in seconds; memory is what process 1 has for itself (RssAnon), in MB.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from board import build, host, model
from qemu import boot
from qemu.image import announcing
from qemu.times import table, times
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from board.report import Report
    from qemu.events import Event

LIMIT = 300.0  # seconds for one boot; a good case takes ten
STARTS = 10  # of each interpreter: /proc/uptime has hundredths only
COLUMNS = ("tree", "getty", "booted", "bare", "imports", "work", "share", "ratio", "renewed", "MB")
BARE = 'python3 -I -S -c "import select, signal"'
IMPORTS = 'python3 -sSPc "import initfs.pid1.init"'
FILE = host.ROOT / "build/bench/init.json"


def measure(boards: Sequence[str], runs: int, report: Report) -> dict[str, dict[str, float]]:
    """Boot each board `runs` times; return the medians, and keep them in build/bench/init.json."""
    found = {}
    for name in boards:
        board = model.load(name)
        boot.emulator(board)
        image = build.build(board, reporter=report)
        with report.step(f"boot {name} {runs} times"):
            found[name] = medians([once(board, image) for _ in range(runs)])
    host.replace(FILE, json.dumps({"runs": runs, "boards": found}, indent=1).encode() + b"\n")
    return found


def once(board: model.Board, image: build.Image) -> dict[str, float]:
    """One boot, and what its guest tells."""
    with Machine(board, image) as vm:
        vm.wait_booted(announcing(boot.files(image)), timeout=LIMIT)
        bare, imports = (started(vm, command) for command in (BARE, IMPORTS))
        status = vm.run("cat /proc/1/status", timeout=LIMIT).stdout
        events = list(vm.events)
        mark = vm.mark()
        vm.run("svscanctl --reexec /run/service", timeout=LIMIT)
        renewed = vm.wait_for("renewed", after=mark, timeout=LIMIT)
    return figures(events, bare, imports, anonymous(status)) | {"renewed": gap(renewed.reason)}


def started(vm: Machine, command: str) -> float:
    """Seconds that a start of this command takes in the guest."""
    loop = f"read -r a _ </proc/uptime; for i in {' '.join(map(str, range(STARTS)))}; do {command}; done; read -r b _ </proc/uptime; echo $a $b"
    began, ended = map(float, vm.run(loop, timeout=LIMIT).stdout.split())
    return (ended - began) / STARTS


def figures(events: Iterable[Event], bare: float, imports: float, memory: float) -> dict[str, float]:
    """The columns of one boot."""
    told = list(events)
    python = next(event.time for event in told if event.event == "python")
    first = next(event.time for event in told if event.event == "up")
    milestones = {name: when for name, when in times(told).items() if name in COLUMNS}
    share = imports + first - python
    own = {"bare": bare, "imports": imports, "work": first - python, "share": share, "ratio": share / bare}
    return {**milestones, **own, "MB": memory}


def anonymous(status: str) -> float:
    """MB of memory of one's own, from a /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 1024


def gap(reason: str) -> float:
    """Seconds without supervision, from what the event `renewed` says."""
    return float(reason.split()[2])


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The median of each column."""
    columns: dict[str, list[float]] = {}
    for run in runs:
        for name, number in run.items():
            columns.setdefault(name, []).append(number)
    return {name: round(statistics.median(numbers), 3) for name, numbers in columns.items()}


def text(found: Mapping[str, Mapping[str, float]]) -> str:
    """The table that people see."""
    return table(found, COLUMNS)
