"""Speed of loggers: a GB of lines of 100 bytes, ten million of 10, through a pipe into a directory in memory.

Each logger gets the same bytes from the same feeder, one after the other in the same run, so that their ratios mean something on a machine
that is not quiet. CPU is user and system time of the logger alone, the number to trust on a busy machine.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from bench.figures import drawn
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from board.report import Report

ROOT = Path(__file__).parents[1]
FILE = ROOT / "build/bench/log.json"
FEEDER = """import os, sys
total, size = map(int, sys.argv[1:])
block = b"".join((b"%d some text of a daemon" % n).ljust(size - 1, b"x")[:size - 1] + b"\\n" for n in range(65536 // size))
while total > 0:
    total -= os.write(1, block[:total])
"""
INPUTS = {"long": 100, "short": 10}
MODES = {
    "plain": ["n10", "s1000000"],
    "t": ["n10", "s1000000", "t"],
    "T": ["n10", "s1000000", "T"],
    "regex": ["n10", "s1000000", "-", "+text|daemon[0-9]", "T"],
    "regex, rare": ["n10", "s1000000", "-", "+^[0-9]*7 ", "T"],
}
PEER = "s6-log"


@dataclass(frozen=True, slots=True)
class Speed:
    """One logger in one mode on one input."""

    input: str
    mode: str
    logger: str
    rate: float  # MB a second
    cpu: float  # seconds for each GB


def commands(mode: str, directory: Path) -> dict[str, list[str]]:
    """Return the command line of each logger that can do MODE."""
    words = [*MODES[mode], str(directory)]
    ours = [
        sys.executable,
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = 'svlog'; from initfs.main import main; sys.exit(main(sys.argv))",
    ]
    found = {"svlog": [*ours, *words], PEER: [PEER, *words]}
    stamp = {"plain": [], "t": ["-t"], "T": ["-tt"]}.get(mode)
    if stamp is not None:
        found["svlogd"] = ["svlogd", *stamp, str(directory)]
        found["busybox svlogd"] = ["busybox", "svlogd", *stamp, str(directory)]
    if mode in ("plain", "t"):
        found["multilog"] = ["multilog", *(["t"] if mode == "t" else []), "n10", "s1000000", str(directory)]
    return {name: line for name, line in found.items() if there(line)}


def there(line: list[str]) -> bool:
    """Return whether the program is installed; not every busybox has each of its programs."""
    if shutil.which(line[0]) is None:
        return False
    if line[0] != "busybox":
        return True
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=False)
    return line[1] in listed.stdout.split()


def compare(total: int, runs: int, report: Report) -> list[Speed]:
    """Measure all loggers in all modes with TOTAL bytes of long lines (a tenth of it short ones)."""
    if not shutil.which(PEER):
        raise Failure("measure", f"{PEER} is not installed")
    found = []
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for kind, size in INPUTS.items():
        amount = total if kind == "long" else total // 10
        for mode in MODES:
            with report.step(f"{kind} lines, {mode}"), tempfile.TemporaryDirectory(dir=base) as scratch:
                loggers = commands(mode, Path(scratch) / "log")
                samples = {
                    name: [measured(line, amount, size, Path(scratch) / "log") for _ in range(runs)]
                    for name, line in loggers.items()
                }
            for name, times in samples.items():
                wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
                found.append(Speed(kind, mode, name, amount / wall / 1e6, cpu * 1e9 / amount))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found))
    return found


def measured(line: list[str], total: int, size: int, directory: Path) -> tuple[float, float]:
    """Return seconds, and seconds of CPU of the logger, of one run."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    begin = time.monotonic()
    feeder = subprocess.Popen(
        [sys.executable, "-S", "-c", FEEDER, str(total), str(size)], stdout=subprocess.PIPE
    )
    logger = subprocess.Popen(line, stdin=feeder.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert feeder.stdout is not None
    feeder.stdout.close()
    _, status, usage = os.wait4(logger.pid, 0)
    logger.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    feeder.wait()
    if logger.returncode:
        raise Failure("measure", f"{line[0]} ended with {logger.returncode}")
    assert isinstance(usage, resource.struct_rusage)
    return wall, usage.ru_utime + usage.ru_stime


def text(found: Sequence[Speed]) -> str:
    """Return the table."""
    table = Table(title="loggers", title_justify="left")
    for name in ("input", "mode", "logger", "MB/s", "/s6-log", "CPU s/GB", "s6-log/"):
        table.add_column(name, justify="left" if name in ("input", "mode", "logger") else "right")
    peers = {(one.input, one.mode): one for one in found if one.logger == PEER}
    for one in found:
        peer = peers[one.input, one.mode]
        table.add_row(
            one.input,
            one.mode,
            one.logger,
            f"{one.rate:.0f}",
            f"{one.rate / peer.rate:.2f}",
            f"{one.cpu:.2f}",
            f"{peer.cpu / one.cpu:.2f}",
        )
    return drawn(table)
