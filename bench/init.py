"""Where the time of process 1 goes, and what it weighs, on each virtual board; and the same image with others as process 1 (`reference.py`).

A line of time from the power's coming: `power` is the host's clock from QEMU's start to the kernel's, all else counts from the kernel's start:
`unpacked` and `run` are its own words, for the root being unpacked and for /init; `init` and on are events.
`share` is what we cost from the exec of process 1 to the first service: interpreter and imports, measured by starting them again in the guest, in turn with `bare`,
and from the first line of ours to the first `up`, from the events. `bare` is what `python3 -I -S -c "import select, signal"` costs there: no
process 1 in Python could cost less. All in seconds; memory is what process 1 has for itself (RssAnon), in MB.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from typing import TYPE_CHECKING

from bench import reference
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
LINE = ("power", "unpacked", "run", "init", "python", "up", "tree", "getty", "booted")
COLUMNS = ("bare", "imports", "work", "share", "ratio", "renewed", "MB")
WORDS = {"unpacked": "Freeing initrd memory", "run": "Run /init as init process"}  # of the kernel, in its log
BARE = ["python3", "-I", "-S", "-c", "import select, signal"]
IMPORTS = ["python3", "-sSPc", "import gc; gc.disable(); import initfs.pid1.init"]  # as stage 1 does
# Run in the guest, with commands as arguments: the least seconds of ten starts of each, in turn.
COMPARE = """
import ast, os, sys, time
commands = [ast.literal_eval(word) for word in sys.argv[1:]]
took = [[] for _ in commands]
for _ in range(10):
    for command, times in zip(commands, took):
        began = time.monotonic()
        os.waitpid(os.posix_spawnp(command[0], command, os.environ), 0)
        times.append(time.monotonic() - began)
print(*map(min, took))
"""
FILE = host.ROOT / "build/bench/init.json"


def measure(boards: Sequence[str], runs: int, report: Report) -> dict[str, dict[str, float]]:
    """Boot each board `runs` times, and each suite as often; return the medians, and keep them in build/bench/init.json."""
    found, others = {}, {}
    for name in boards:
        board = model.load(name)
        boot.emulator(board)
        image = build.build(board, reporter=report)
        with report.step(f"boot {name} {runs} times"):
            found[name] = medians([once(board, image) for _ in range(runs)])
        with report.step(f"boot {name} {runs} times with each suite"):
            several = [reference.measure(board, image) for _ in range(runs)]
            others[name] = {suite: medians([one[suite] for one in several]) for suite in reference.SUITES}
    document = {"runs": runs, "boards": found, "reference": others}
    host.replace(FILE, json.dumps(document, indent=1).encode() + b"\n")
    return found


def once(board: model.Board, image: build.Image) -> dict[str, float]:
    """One boot, and what its guest tells."""
    began = time.monotonic()
    with Machine(board, image) as vm:
        vm.wait_booted(announcing(boot.files(image)), timeout=LIMIT)
        uptime = float(vm.run("cat /proc/uptime", timeout=LIMIT).stdout.split()[0])
        power = time.monotonic() - began - uptime
        log = vm.run("dmesg", timeout=LIMIT).stdout
        bare, imports = started(vm)
        status = vm.run("cat /proc/1/status", timeout=LIMIT).stdout
        events = list(vm.events)
        mark = vm.mark()
        vm.run("svscanctl --reexec /run/service", timeout=LIMIT)
        renewed = vm.wait_for("renewed", after=mark, timeout=LIMIT)
    line = {"power": power, **kernel(log)}
    return line | figures(events, bare, imports, anonymous(status)) | {"renewed": gap(renewed.reason)}


def kernel(log: str) -> dict[str, float]:
    """When the kernel did what, from its log: seconds after its start."""
    found = {}
    for name, words in WORDS.items():
        if line := re.search(rf"^\[ *([0-9.]+)\] {words}", log, re.MULTILINE):
            found[name] = float(line[1])
    return found


def started(vm: Machine) -> tuple[float, float]:
    """Seconds that BARE and IMPORTS take in the guest: in turn, so that both meet the same load of this host, and the least of each."""
    told = vm.run(["python3", "-ISc", COMPARE, *map(repr, (BARE, IMPORTS))], timeout=LIMIT).stdout
    bare, imports = map(float, told.split())
    return bare, imports


def figures(events: Iterable[Event], bare: float, imports: float, memory: float) -> dict[str, float]:
    """The columns of one boot."""
    told = list(events)
    python = next(event.time for event in told if event.event == "python")
    first = next(event.time for event in told if event.event == "up")
    milestones = {name: when for name, when in times(told).items() if name in LINE} | {"up": first}
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
    """The tables that people see."""
    others = json.loads(FILE.read_text())["reference"]
    return "\n\n".join([table(found, LINE), table(found, COLUMNS), reference.text(others)])
