"""How servers of local services compare: connections, orders, descriptors stored and retrieved, memory; ours beside s6's programs.

The load is one process with many connections at a time; every round is a fresh server, and the suites take turns, so that what disturbs
the machine for a while disturbs both. A handler is the same program for both, or each suite's own for the same job.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import shutil
import signal
import socket
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure
from bench.figures import ratio
from bench.suites import PYTHON, compile_ours, ours
from bench.trial import place
from board import host
from board.host import Failure
from initfs.local.fdholder import client
from initfs.local.sudo import protocol
from initfs.local.wire import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from board.report import Report

    Costs = dict[str, list[float]]  # by suite

FILE = host.ROOT / "build" / "bench" / "local.json"
AT_ONCE = 8  # connections
WARM = 200  # connections before those that are measured: by then a server has what it makes for a crowd
OPEN = 500  # connections that are held while memory is measured
PAIRS = 1000
LOOP = "loop"  # the handler that is none
PATIENCE = 30.0
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath)}
# What a program of ours does with orders when it needs no process between: as the service manager's runner of oneshots.
ORDERS = """
import sys; sys.path.insert(0, sys.argv[1])
import os
from initfs.local import access, rules, sockets
from initfs.local.sudo import server
from initfs.local.sudo.session import Manner
from initfs.loop import Loop
listener = sockets.bind(sys.argv[2]); listener.listen(100)
known = rules.Directory(sys.argv[3])
def admit(peer):
    return access.decide(access.account_keys(peer.uid, peer.gid, os.geteuid(), os.getegid()), known.look_up)[1].allowed
def start(order):
    return server.spawn([b"/bin/true"], dict(os.environb), order.descriptors)
serving = server.Server(Loop(), listener, admit, start, Manner())
os.write(1, b"\\n")
sys.exit(serving.run())
"""
RIGHTS = ("STORE_REGEX", "RETRIEVE_REGEX", "LIST")


@dataclass(frozen=True, slots=True)
class Case:
    """A handler behind a server, for each suite, and the conversation with it."""

    name: str
    handlers: Mapping[str, Sequence[str]]
    talk: bytes = b""  # what the client sends at once, with its descriptors
    way: str = "exec"  # how ours runs it: exec, warm, or in its loop


@dataclass(slots=True)
class Result:
    """Rates a second and microseconds of the processor by case and suite, kilobytes by suite."""

    rates: dict[str, Costs] = field(default_factory=dict)
    costs: dict[str, Costs] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


def cases(rules: Path) -> list[Case]:
    """What is measured: a trivial program, a trivial handler of the suite's own, a rule and a limit before it, an order."""
    check = ["-i", str(rules)]
    order = frame(protocol.encode([], []), protocol.DESCRIPTORS)
    return [
        Case("true", {"s6": ["/bin/true"], "initfs": ["/bin/true"]}),
        Case("empty script", {"s6": ["execlineb", "-c", ""], "initfs": ["chain", "-c", ""]}, way="warm"),
        Case(
            "rule, limit, true",
            {
                "s6": ["s6-ipcserver-access", "-v0", *check, "s6-connlimit", "/bin/true"],
                "initfs": ["ipcserver-access", "-v0", *check, "connlimit", "/bin/true"],
            },
            way="warm",
        ),
        Case(
            "rule, sudo true",
            {
                "s6": ["s6-ipcserver-access", "-v0", *check, "s6-sudod", "/bin/true"],
                "initfs": ["ipcserver-access", "-v0", *check, "sudod", "/bin/true"],
            },
            order,
            way="warm",
        ),
        Case(
            "the same, in one loop",
            {
                "s6": ["s6-ipcserver-access", "-v0", *check, "s6-sudod", "/bin/true"],
                "initfs": [LOOP, str(rules)],
            },
            order,
            way="loop",
        ),
    ]


def compare(runs: int, connections: int, report: Report) -> Result:
    """Measure everything RUNS times with so many CONNECTIONS each, in turn; keep it in build/bench."""
    for name in ("s6-ipcserver", "s6-fdholder-daemon", "execlineb"):
        if shutil.which(name) is None:
            raise Failure("measure", f"{name} is not installed: Debian packages s6 and execline")
    compile_ours()
    found = Result()
    with place() as folder:
        rules = write_rules(folder / "rules")
        for case in cases(rules):
            with report.step(case.name):
                cost = found.costs.setdefault(case.name, {})
                alternate(found, case.name, runs, partial(rate, folder, case, connections, cost))
        with report.step("store and retrieve"):
            alternate(found, "store and retrieve", runs, partial(pairs, folder, rules))
        with report.step(f"memory with {OPEN} connections"):
            for suite in ("s6", "initfs"):
                found.memory[suite] = memory(folder, suite)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps({"machine": platform.platform(), **asdict(found)}, indent=1) + "\n")
    return found


def alternate(found: Result, name: str, runs: int, once: Callable[[str], float]) -> None:
    """Measure both suites RUNS times, in turn."""
    for _ in range(runs):
        for suite in ("s6", "initfs"):
            found.rates.setdefault(name, {}).setdefault(suite, []).append(once(suite))


def write_rules(rules: Path) -> Path:
    """A rule that lets us in, with all rights of a descriptor holder under both suites' names."""
    environment = rules / "uid" / str(os.geteuid()) / "env"
    environment.mkdir(parents=True)
    (environment.parent / "allow").touch()
    for name in RIGHTS:
        for prefix in ("", "S6_"):
            (environment / f"{prefix}FDHOLDER_{name}").write_text(".\n")
    (environment / "IPCCONNMAX").write_text("1000\n")
    return rules


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[int]:
    """A server that says when it is ready; its pid."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=ENVIRONMENT
    )
    try:
        assert process.stdout is not None
        if process.stdout.read(1) != b"\n":
            raise Failure("measure", f"{command[0]} does not start")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def server(suite: str, path: Path, handler: Sequence[str], most: int = 40) -> list[str]:
    """The command line of a suite's server."""
    if handler[0] == LOOP:
        return [*PYTHON, "-c", ORDERS, str(host.ROOT), str(path), *handler[1:]]
    options = ["-1", "-c", str(most), "-C", str(most), str(path), *handler]
    return ["s6-ipcserver", *options] if suite == "s6" else ours("ipcserver", *options)


def rate(folder: Path, case: Case, connections: int, cost: Costs, suite: str) -> float:
    """Connections a second that SUITE serves; the processor's microseconds for one of them are added to COST."""
    path = folder / "s"
    with running(server(suite, path, case.handlers[suite])) as pid:
        load(path, case.talk, WARM)  # the first ones find nothing in memory
        spent, began = cpu(pid), time.perf_counter()
        load(path, case.talk, connections)
        found = connections / (time.perf_counter() - began)
        reaped(pid)
        cost.setdefault(suite, []).append((cpu(pid) - spent) / connections * 1e6)
        return found


def load(path: Path, talk: bytes, count: int) -> None:
    """Make COUNT connections, AT_ONCE at a time, each until the server's side is closed."""
    with select.epoll() as poll, open(os.devnull) as null:
        there: dict[int, socket.socket] = {}
        begun = 0
        while begun < count or there:
            while begun < count and len(there) < AT_ONCE:
                one = socket.socket(socket.AF_UNIX)
                one.connect(str(path))
                if talk:
                    socket.send_fds(one, [talk], [null.fileno()] * protocol.DESCRIPTORS)
                there[one.fileno()] = one
                poll.register(one, select.EPOLLIN)
                begun += 1
            for fd, _ in poll.poll(PATIENCE):
                if not there[fd].recv(4096):
                    poll.unregister(fd)
                    there.pop(fd).close()


def pairs(folder: Path, rules: Path, suite: str) -> float:
    """Descriptors stored and retrieved, and deleted again, a second, in one conversation."""
    path = folder / "h"
    options = ["-1", "-i", str(rules), str(path)]
    command = ["s6-fdholder-daemon", *options] if suite == "s6" else ours("fdholder-daemon", *options)
    with running(command), open(os.devnull) as null, client.connect(str(path)) as holder:
        began = time.perf_counter()
        for number in range(PAIRS):
            holder.store(null.fileno(), b"%d" % number)
            os.close(holder.retrieve(b"%d" % number, delete=True))
        return PAIRS / (time.perf_counter() - began)


def memory(folder: Path, suite: str) -> float:
    """Kilobytes (PSS) of the server, without the handlers, while it has OPEN connections."""
    path = folder / "s"
    with (
        running(server(suite, path, ["sh", "-c", "echo; exec cat"], OPEN)) as pid,
        contextlib.ExitStack() as held,
    ):
        for _ in range(OPEN):
            one = held.enter_context(socket.socket(socket.AF_UNIX))
            one.settimeout(PATIENCE)
            one.connect(str(path))
            one.recv(1)
        return float(measure.memory(processes(pid)).pss)


def processes(pid: int) -> list[int]:
    """The server PID and its copies that serve with it: children that run the same program."""
    program = os.readlink(f"/proc/{pid}/exe")
    found = [pid]
    for child in children(pid):
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            if os.readlink(f"/proc/{child}/exe") == program:
                found.append(child)
    return found


def children(pid: int) -> list[int]:
    """The children of a process, also those that have ended and that it has not reaped."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def reaped(pid: int) -> None:
    """Wait until the server PID and its copies have reaped all handlers: only then their time counts."""
    deadline = time.monotonic() + PATIENCE
    while running := [child for each in processes(pid) for child in children(each)]:
        if set(running) <= set(processes(pid)):
            return
        if time.monotonic() > deadline:
            raise Failure("measure", "a handler does not end")
        time.sleep(0.001)


def cpu(pid: int) -> float:
    """Seconds that the server PID, its copies and the children that they have reaped were on a processor, from its start on."""
    ticks = 0
    for each in processes(pid):
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def text(found: Result) -> str:
    """The table."""
    lines = [f"{'a second':<24}{'s6':>10}{'initfs':>10}{'ratio':>8}"]
    lines += [compared(name, rates) for name, rates in found.rates.items()]
    lines += ["", f"{'us of a processor each':<24}{'s6':>10}{'initfs':>10}{'ratio':>8}"]
    lines += [compared(name, costs) for name, costs in found.costs.items()] + [""]
    theirs, mine = found.memory["s6"], found.memory["initfs"]
    lines.append(
        f"{f'kB with {OPEN} clients':<24}{theirs:>10.0f}{mine:>10.0f}{ratio(mine, theirs) or 0:>8.2f}"
    )
    return "\n".join(lines) + "\n"


def compared(name: str, found: Costs) -> str:
    """A line of the table: medians and their ratio."""
    theirs, mine = (statistics.median(found[suite]) for suite in ("s6", "initfs"))
    return f"{name:<24}{theirs:>10.0f}{mine:>10.0f}{ratio(mine, theirs) or 0:>8.2f}"
