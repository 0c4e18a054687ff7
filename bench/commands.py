"""How long a command of ours takes to start and end, beside an interpreter that does nothing."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from bench import figures, trial
from bench.suites import PYTHON, ours
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.figures import Spread

NOTHING = "python -I -S -c pass"
PROGRAMS = {
    "svok": (),
    "svstat": (),
    "svc": ("-c",),
}  # with -c, CONT for a service that runs, nothing changes


@dataclass(frozen=True, slots=True)
class Start:
    """One command, many times; milliseconds."""

    name: str
    wall: Spread
    cpu: Spread


def compare(service: Path, runs: int) -> list[Start]:
    """Run each command on a service RUNS times, in turn."""
    commands = {NOTHING: [*PYTHON, "-c", "pass"]}
    commands |= {name: ours(name, *options, service) for name, options in PROGRAMS.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(once(command, service.parent.parent / "said"))
    return [
        Start(name, figures.surely([wall for wall, _ in found]), figures.surely([cpu for _, cpu in found]))
        for name, found in times.items()
    ]


def once(command: Sequence[str], said: Path) -> tuple[float, float]:
    """Run a command; return its time by the clock and on a processor, in milliseconds."""
    began = time.monotonic()
    pid = trial.start(list(command), {"PATH": os.defpath}, said)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise Failure(
            f"measure {command[-2]}", f"wait status {status}", said.read_text(errors="replace").strip()
        )
    return (time.monotonic() - began) * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def document(found: Sequence[Start]) -> list[Mapping[str, object]]:
    """Return the commands and their ratios for JSON."""
    return [
        {**asdict(one), "wall/nothing": figures.ratio(one.wall, found[0].wall),
         "cpu/nothing": figures.ratio(one.cpu, found[0].cpu)}
        for one in found
    ]  # fmt: skip


def table(found: Sequence[Start]) -> str:
    """Return the table that people see."""
    shown = Table(title="commands: start to end, median (least-most)", title_justify="left")
    for name in ("command", "wall ms", "/nothing", "CPU ms", "/nothing"):
        shown.add_column(name, justify="left" if name == "command" else "right", no_wrap=True)
    for one in found:
        wall, cpu = figures.ratio(one.wall, found[0].wall), figures.ratio(one.cpu, found[0].cpu)
        shown.add_row(one.name, str(one.wall), str(wall), str(one.cpu), str(cpu))
    return figures.drawn(shown)
