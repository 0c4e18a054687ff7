"""The service manager, beside s6-rc where that is installed: compile, begin, change, list, all down; three shapes, several sizes.

Both work on one definition tree in memory and each on its own supervision tree; they take turns, so what disturbs the machine disturbs both.
dinit, where it is installed, brings up the same oneshots as a fan: it has no database, and refuses long chains. The floor is a C program that
spawns what the scripts are, as many at a time as the shape allows.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure, suites
from bench.trial import place
from board import host
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from board.report import Report

FILE = host.ROOT / "build" / "bench" / "rc.json"
SHAPES = ("fan", "chain", "layers")
LAYER = 50  # services in a layer, each with two dependencies in the layer before
STEPS = ("compile", "init", "change", "cpu", "list", "again", "down")
LONGEST = 300  # seconds of one step
EACH, SPARE = 8, 100  # descriptors of a service that svscan supervises, and for all else
DINIT = ("dinit", "dinitctl")
PEERS = ("s6-rc-compile", "s6-rc-init", "s6-rc", "s6-svscan", "s6-svscanctl")


@dataclass(frozen=True, slots=True)
class Sample:
    """How long the steps of one run took, milliseconds; `cpu`: for how long `change` kept processors busy, scripts and all."""

    suite: str
    shape: str
    count: int
    kind: str  # oneshot or mixed
    times: dict[str, float]
    load: float


@dataclass(slots=True)
class Result:
    """All that was measured."""

    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def compare(counts: Sequence[int], runs: int, report: Report) -> Result:
    """Measure every shape with every number of services, RUNS times; keep it in build/bench."""
    suites.compile_ours()
    found = Result()
    missing = [name for name in PEERS if shutil.which(name) is None]
    if missing:
        found.skipped["s6-rc"] = f"not installed: {missing[0]}"
    names = ["initfs"] if missing else ["initfs", "s6-rc"]
    if any(shutil.which(name) is None for name in DINIT):
        found.skipped["dinit"] = "not installed"
    for count in counts:
        for shape in SHAPES:
            for kind in kinds(count, found):
                with report.step(f"{count} services, {shape}, {kind}"):
                    for _ in range(runs):
                        found.samples += once(names, shape, count, kind)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(asdict(found), indent=1) + "\n")
    return found


def kinds(count: int, found: Result) -> list[str]:
    """Return which kinds of so many services can be measured here."""
    needed, most = count // 2 * EACH + SPARE, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and needed > most:
        found.skipped[f"{count} mixed"] = f"needs {needed} descriptors, the hard limit is {most}"
        return ["oneshot"]
    return ["oneshot", "mixed"]


def once(names: Sequence[str], shape: str, count: int, kind: str) -> list[Sample]:
    """Measure each suite once on the same definitions."""
    with place() as folder:
        define(folder / "source", shape, count, mixed=kind == "mixed")
        taken = {name: steps(name, folder, folder / name) for name in names}
        if shape == "fan" and kind == "oneshot" and all(map(shutil.which, DINIT)):
            taken["dinit"] = dinit(folder / "dinit", count)
        if kind == "oneshot":
            taken["floor"] = floor(shape, count)
        return [Sample(name, shape, count, kind, times, os.getloadavg()[0]) for name, times in taken.items()]


def floor(shape: str, count: int) -> dict[str, float]:
    """Return what it takes to run `true` COUNT times, with so many at a time as the SHAPE allows."""
    most = {"fan": count, "chain": 1, "layers": LAYER}[shape]
    return weighed([str(suites.compiled("oneshots")), str(count), str(most), shutil.which("true") or ""])


def dinit(here: Path, count: int) -> dict[str, float]:
    """Return what it takes dinit to bring up a fan of COUNT oneshots."""
    services = here / "services"
    services.mkdir(parents=True)
    (services / "boot").write_text("type = internal\n")
    for number in range(count):
        lines = [f"depends-on = {name_of(0)}\n"] if number else []
        (services / name_of(number)).write_text(
            "".join([f"type = scripted\ncommand = {shutil.which('true')}\n", *lines])
        )
    everything = "".join(f"depends-on = {name_of(number)}\n" for number in range(count))
    (services / "all").write_text(f"type = internal\n{everything}")
    control = ["-p", str(here / "control")]
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["dinit", "-u", "-q", "-F", str(writing), "-d", services, *control],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(writing,),
    )  # fmt: skip
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    try:
        return weighed(["dinitctl", *control, "start", "all"], process.pid)
    finally:
        process.terminate()
        process.wait(LONGEST)


def define(source: Path, shape: str, count: int, *, mixed: bool) -> None:
    """Write COUNT definitions, and a bundle of all; in a MIXED tree every second one is a longrun."""
    rng = random.Random(1)
    for number in range(count):
        directory = source / name_of(number)
        directory.mkdir(parents=True)
        longrun = mixed and number % 2
        (directory / "type").write_text("longrun\n" if longrun else "oneshot\n")
        script = directory / ("run" if longrun else "up")
        script.write_text("#!/bin/sh\nexec sleep 100000\n" if longrun else "true\n")
        for other in needs(shape, number, rng):
            (directory / "dependencies.d").mkdir(exist_ok=True)
            (directory / "dependencies.d" / name_of(other)).touch()
    (source / "all/contents.d").mkdir(parents=True)
    (source / "all/type").write_text("bundle\n")
    for number in range(count):
        (source / "all/contents.d" / name_of(number)).touch()


def name_of(number: int) -> str:
    """Return the name of a service."""
    return f"s{number:05}"


def needs(shape: str, number: int, rng: random.Random) -> list[int]:
    """Return what a service depends on."""
    if not number or (shape == "layers" and number < LAYER):
        return []
    if shape == "layers":
        before = number // LAYER * LAYER
        return rng.sample(range(before - LAYER, before), 2)
    return [0 if shape == "fan" else number - 1]


def steps(suite: str, folder: Path, here: Path) -> dict[str, float]:
    """Return the milliseconds of each step."""
    here.mkdir()
    prefix = "s6-rc" if suite == "s6-rc" else "rc"

    def command(name: str, *arguments: object) -> list[str]:
        if suite == "s6-rc":
            return [f"{prefix}{name}", *map(str, arguments)]
        return suites.ours(f"{prefix}{name}", *arguments)

    live = ("-l", here / "live")
    times = {"compile": timed(command("-compile", here / "db", folder / "source"))}
    with tree(suite, here / "scan") as root:
        times["init"] = timed(command("-init", "-c", here / "db", *live, here / "scan"))
        times |= weighed(command("", *live, "change", "all"), root)
        times["list"] = min(timed(command("", *live, "-a", "list")) for _ in range(3))
        times["again"] = timed(command("", *live, "change", "all"))
        times["down"] = timed(command("", *live, "-da", "change"))
    return times


def weighed(command: list[str], root: int = 0) -> dict[str, float]:
    """Run a command that has the tree below ROOT work for it; how long it took, and for how long both kept processors busy."""
    before = spent(root)
    return {"change": timed(command), "cpu": spent(root) - before}


def spent(root: int) -> float:
    """Return the milliseconds of processor time of our children that have ended, and of all below ROOT, what has ended there included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for pid in measure.descendants(measure.parents(), root) if root else ():
        words = measure.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        ticks += sum(map(int, words[11:15]))  # its own and those it has waited for, proc(5)
    return (ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")) * 1000


def timed(command: list[str]) -> float:
    """Run a command to its end and return its milliseconds. Raises Failure."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=LONGEST,
    )
    if done.returncode:
        raise Failure(f"run {' '.join(command[-4:])}", done.stderr.decode(errors="replace").strip()[-200:])
    return (time.perf_counter() - began) * 1000


@contextmanager
def tree(suite: str, scandir: Path) -> Iterator[int]:
    """Have a supervision tree of the suite on a new scan directory; its process."""
    scandir.mkdir()
    reading, writing = os.pipe()
    name = "s6-svscan" if suite == "s6-rc" else "svscan"
    options = ["-C", "20000", "-d", str(writing), str(scandir)]
    command = [name, *options] if suite == "s6-rc" else suites.ours(name, *options)
    with (scandir.parent / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writing,)
        )
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()


def text(found: Result) -> str:
    """Return the medians as a table, with the ratio of s6-rc's time to ours."""
    lines = [f"{'services':>8} {'shape':7} {'kind':8} {'suite':7}" + "".join(f"{step:>9}" for step in STEPS)]
    groups: dict[tuple[int, str, str], dict[str, dict[str, float]]] = {}
    for sample in found.samples:
        groups.setdefault((sample.count, sample.shape, sample.kind), {}).setdefault(sample.suite, {})
    for key, group in groups.items():
        for suite in group:
            group[suite] = medians(
                [one for one in found.samples if (one.count, one.shape, one.kind, one.suite) == (*key, suite)]
            )
        label = f"{key[0]:8} {key[1]:7} {key[2]:8}"
        for suite, times in group.items():
            shown = (f"{times[step]:9.0f}" if step in times else f"{'-':>9}" for step in STEPS)
            lines.append(f"{label} {suite:7}" + "".join(shown))
        if "s6-rc" in group:
            ratios = "".join(f"{group['s6-rc'][step] / group['initfs'][step]:9.2f}" for step in STEPS)
            lines.append(f"{label} {'s6-rc/':7}{ratios}")
        if "floor" in group:
            ratios = "".join(
                f"{group['initfs'][step] / group['floor'][step]:9.2f}"
                if step in group["floor"]
                else f"{'-':>9}"
                for step in STEPS
            )
            lines.append(f"{label} {'/floor':7}{ratios}")
    lines += [f"{name}: {why}" for name, why in found.skipped.items()]
    head = "milliseconds; s6-rc/: how many times as long s6-rc takes; /floor: how many times as long as the floor we take"
    return "\n".join([head, *lines]) + "\n"


def medians(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median of each step that was taken."""
    return {
        step: statistics.median(sample.times[step] for sample in samples)
        for step in STEPS
        if step in samples[0].times
    }
