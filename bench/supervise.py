"""How supervisors compare: time until all services run, memory, idleness, restarts, the end; ours, others, and a floor.

Every run of a suite is a fresh one, on a fresh directory in memory, and the suites take turns within a run: what disturbs
the machine for a while disturbs all of them. The daemons are static programs that report their own first moment.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench import commands, figures, measure
from bench.figures import Sample
from bench.suites import SUITES, Unavailable, compiled, initfs
from bench.trial import Trial, place
from board import host
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.commands import Start
    from bench.suites import Suite
    from board.report import Report

IDLE = 3.0  # seconds to be idle for
RESTARTS = 30  # kills
RESTART_BUDGET = 6.0  # seconds: who waits a second before each restart gets fewer of them
COMMANDS = 40  # runs of each command
FILE = host.ROOT / "build" / "bench" / "supervise.json"


@dataclass(slots=True)
class Result:
    """All that was measured."""

    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # what was not measured, and why
    starts: list[Start] = field(default_factory=list)


def compare(names: Sequence[str], counts: Sequence[int], runs: int, report: Report) -> Result:
    """Measure the suites with each number of services, RUNS times, and the start of commands; keep it in build/bench."""
    found = Result()
    suites = prepare(names, found.skipped, report)
    daemon = compiled("daemon")
    for count in counts:
        with report.step(f"{count} services"), report.bar(total=runs * len(suites)) as advance:
            measure_all(suites, count, runs, daemon, found, advance)
    if any(suite.name == "initfs" for suite in suites):
        with report.step("commands"):
            found.starts = start_up(daemon, report)
    keep(found, runs)
    return found


def prepare(names: Sequence[str], skipped: dict[str, str], report: Report) -> list[Suite]:
    """Return the suites that can be measured here."""
    suites = []
    for name in names:
        try:
            suites.append(SUITES[name](report))
        except (Unavailable, Failure) as problem:
            skipped[name] = str(problem)
    return suites


def measure_all(
    suites: Sequence[Suite],
    count: int,
    runs: int,
    daemon: Path,
    found: Result,
    advance: Callable[[int], None],
) -> None:
    """Measure each suite RUNS times, in turn; what fails once is not tried again, and said."""
    for run in range(runs):
        for suite in suites:
            label = f"{suite.name}, {count} services"
            if label not in found.skipped:
                try:
                    found.samples.append(once(suite, count, daemon, thorough=run == 0))
                except (Failure, OSError) as problem:
                    found.skipped[label] = str(problem)
            advance(1)


def once(suite: Suite, count: int, daemon: Path, *, thorough: bool) -> Sample:
    """Start a suite, look at it, end it. What takes long, idleness and restarts, is measured when it is to be THOROUGH."""
    load = os.getloadavg()[0]
    with place() as folder, Trial(suite, count, folder, daemon) as tree:
        tree.settle()
        supervisors = tree.supervisors()
        commandable, cpu = tree.commandable(), measure.on_cpu(supervisors)
        memory = measure.memory(supervisors)
        idle = tree.idle(IDLE) if thorough else None
        restarts = tree.restarts(RESTARTS, RESTART_BUDGET) if thorough and suite.stop is not None else []
        return Sample(
            suite=suite.name,
            count=count,
            load=round(load, 2),
            first=tree.first,
            all=tree.all,
            commandable=commandable,
            cpu=cpu,
            processes=len(supervisors),
            pss=memory.pss,
            dirty=memory.dirty,
            idle=idle,
            restarts=tuple(restarts),
            down=tree.down(),
        )


def start_up(daemon: Path, report: Report) -> list[Start]:
    """Measure our commands on a service of a tree of ours."""
    with place() as folder, Trial(initfs(report), 1, folder, daemon) as tree:
        tree.settle()
        return commands.compare(next(tree.scan.glob("s*")), COMMANDS)


def keep(found: Result, runs: int) -> None:
    """Write the numbers where later ones can be compared with them."""
    rows = figures.rows(found.samples)
    content = {
        "unit": "times: ms, memory: kB; medians of the runs",
        "runs": runs,
        "idle_seconds": IDLE,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "suites": figures.document(rows),
        "commands": commands.document(found.starts),
        "skipped": found.skipped,
        "samples": [asdict(sample) for sample in found.samples],
    }
    host.replace(FILE, json.dumps(content, indent=1).encode() + b"\n")


def text(found: Result) -> str:
    """Return the tables that people see."""
    loads = [sample.load for sample in found.samples]
    parts = []
    if loads:
        title = f"supervisors: median (least-most); load {min(loads):.1f}-{max(loads):.1f}, {os.cpu_count()} processors"
        parts.append(figures.table(figures.rows(found.samples), title))
    if found.starts:
        parts.append(commands.table(found.starts))
    parts += [f"not measured: {what}: {why}\n" for what, why in found.skipped.items()]
    return "\n".join(parts)
