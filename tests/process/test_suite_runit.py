"""runsv, runsvdir, runsvchdir and utmpset, with runit's own sv as the witness."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import struct
import time

import pytest

from initfs.main import run as main
from initfs.supervise import client
from initfs.supervise.runit import proctitle, utmpset
from tests.process.notify_world import ENVIRONMENT, PATIENCE, end, ours, real, run, start
from tests.process.small_tree import Tree
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

SLEEP = "exec sleep 999"


class Started:
    """Programs that are ended with the test, and services for them."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory / "scan"
        self.add = Tree(self.directory).add
        self.processes: list[subprocess.Popen[bytes]] = []
        self.names: dict[int, str] = {}

    def begin(self, name: str, *arguments: object) -> subprocess.Popen[bytes]:
        """Start a program."""
        process = start(ours(name, *arguments), stdout=None)
        self.processes.append(process)
        self.names[process.pid] = name
        return process

    def sv(self, *words: object) -> tuple[int, str]:
        """Exit code and output of runit's sv."""
        env = {**ENVIRONMENT, "SVDIR": str(self.directory)}
        code, out, _ = run([real("sv"), *map(str, words)], env=env)
        return code, out.strip()


@pytest.fixture
def started(tmp_path: pathlib.Path) -> Iterator[Started]:
    found = Started(tmp_path)
    yield found
    for process in found.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGHUP if found.names[process.pid] == "runsvdir" else signal.SIGTERM)
            end(process)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what runit's programs announce to nobody."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


def supervised(directory: pathlib.Path) -> bool:
    """Whether it has a supervisor, and a status of its life."""
    return client.supervised(str(directory)) and (directory / "supervise/status").exists()


def pid(directory: pathlib.Path) -> int:
    return client.read_status(str(directory)).pid


def test_runsv_supervises_a_service_and_its_logger(started: Started) -> None:
    # RUN-079
    service = started.add("a", "echo hello; exec sleep 999", finish='echo "bye $1 $2"')
    started.add("a/log", "exec cat > said")
    runsv = started.begin("runsv", service)
    until(lambda: supervised(service) and supervised(service / "log"))
    until(lambda: (service / "log/said").exists() and (service / "log/said").read_text() == "hello\n")
    until(lambda: pid(service) > 0)
    code, out = started.sv("status", service)
    assert (code, out.startswith(f"run: {service}: (pid {pid(service)}) ")) == (0, True)
    assert f"; run: log: (pid {pid(service / 'log')}) " in out
    status = (service / "supervise/status").read_bytes()[:20]
    assert int.from_bytes(status[12:16], "little") == pid(service)
    assert (status[17:18], status[18], status[19]) == (b"u", 0, 1)
    assert (service / "supervise/stat").read_text() == "run\n"
    assert (service / "supervise/pid").read_text() == f"{pid(service)}\n"
    assert run([real("runsv"), str(service)])[0] == 111  # the lock is the same
    assert run(ours("runsv", service))[0] == 111
    (service / "log/supervise/control").write_bytes(b"x")  # means nothing there
    assert started.sv("-v", "exit", service) == (0, f"ok: {service}: runsv not running")
    assert end(runsv)[0] == 0
    assert (service / "log/said").read_text() == "hello\nbye -1 15\n"


def test_runsv_ends_on_term_and_needs_a_directory(started: Started, tmp_path: pathlib.Path) -> None:
    # RUN-079 (partly)
    service = started.add("a", SLEEP, down="")
    runsv = started.begin("runsv", f"{service}/")
    until(lambda: supervised(service))
    assert started.sv("up", "a")[0] == 0
    runsv.send_signal(signal.SIGTERM)
    assert end(runsv)[0] == 0
    assert run(ours("runsv", tmp_path / "nosuch"))[0] == 111
    assert run(ours("runsv"))[0] == 100
    assert run(ours("runsv", "a", "b"))[0] == 100


def test_a_control_script_may_take_the_place_of_a_signal(started: Started) -> None:
    # RUN-080
    service = started.add("a", SLEEP)
    (service / "control").mkdir()
    script = service / "control/t"
    script.write_text("#!/bin/sh\necho asked >> told\n")
    script.chmod(0o755)
    started.begin("runsv", service)
    until(lambda: supervised(service) and pid(service) != 0)
    before = pid(service)
    assert started.sv("term", "a")[0] == 0
    until((service / "told").exists)
    assert (pid(service), alive(before)) == (before, True)
    script.unlink()
    assert run(ours("sv", "restart", service))[0] == 0
    assert pid(service) != before


def test_runsvdir_follows_its_directory(started: Started) -> None:
    # RUN-081 (partly)
    first = started.add("a", SLEEP)
    started.begin("runsvdir", "-P", started.directory)
    until(lambda: supervised(first))
    begun = time.monotonic()
    second = started.add("b", SLEEP)
    until(lambda: supervised(second) and pid(second) > 0)
    assert time.monotonic() - begun < 5
    code, out = started.sv("status", "a", "b")
    assert (code, out.count("run: ")) == (0, 2)
    victim = pid(second)
    with_run = second.rename(started.directory.parent / "elsewhere")
    until(lambda: not alive(victim))
    until(lambda: not supervised(with_run))
    assert os.getpgid(pid(first)) == pid(first)


def test_runsvdir_leaves_its_services_on_term_and_takes_them_along_on_hup(started: Started) -> None:
    # RUN-081 (partly)
    service = started.add("a", SLEEP)
    runsvdir = started.begin("runsvdir", started.directory)
    until(lambda: supervised(service) and pid(service) > 0)
    survivor = pid(service)
    runsvdir.send_signal(signal.SIGTERM)
    assert runsvdir.wait(PATIENCE) == 0
    assert alive(survivor)
    again = started.begin("runsvdir", started.directory)
    until(
        lambda: supervised(service) and started.sv("status", "a")[1].startswith(f"run: a: (pid {survivor}) ")
    )
    again.send_signal(signal.SIGHUP)
    assert end(again)[0] == 111
    assert not alive(survivor)


def test_the_log_of_runsvdir_is_seen_by_ps(started: Started) -> None:
    # RUN-081
    started.add("a", "echo help me >&2; exec sleep 999")
    process = started.begin("runsvdir", started.directory, "log: " + "." * 40)
    until(lambda: b"help me" in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes())
    words = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert words[-2].startswith(b"log: ......")
    assert len(words[-2]) == 45


def test_the_log_moves_to_the_left() -> None:
    # RUN-081 (partly)
    assert proctitle.moved(b"log: ....", b"ab") == b"log: ..ab"
    assert proctitle.moved(b"log: ....", b"a\nb\x01 much more") == b"log: more"
    assert proctitle.place(b"1 (a b) " + b"7 " * 60, b"x\0log", b"log") is None
    assert proctitle.place(b"1 (a) b) " + b"7 " * 60, b"x\0log\0", b"log") == 7 + 2


def test_runsvdir_wants_a_directory(tmp_path: pathlib.Path) -> None:
    # RUN-081 (partly)
    assert run(ours("runsvdir"))[0] == 100
    assert run(ours("runsvdir", "a", "log: ........", "c"))[0] == 100
    assert run(ours("runsvdir", "-z", "a"))[0] == 100
    assert run(ours("runsvdir", tmp_path / "nosuch"))[0] == 111


def test_runsvdir_follows_the_link_that_runsvchdir_turns(started: Started, tmp_path: pathlib.Path) -> None:
    # RUN-089 (partly)
    base = tmp_path / "levels"
    env = {**ENVIRONMENT, "RUNSVDIR": str(base)}
    one, multi = Tree(base / "single").add("a", SLEEP), Tree(base / "multi").add("b", SLEEP)
    assert run(ours("runsvchdir", "single"), env=env)[0] == 0
    assert os.listdir(base).count("previous") == 0
    started.begin("runsvdir", base / "current")
    until(lambda: supervised(one) and pid(one) > 0)
    victim = pid(one)
    assert run(ours("runsvchdir", "multi"), env=env) == (0, "", "runsvchdir: info: multi: now current\n")
    assert (os.readlink(base / "current"), os.readlink(base / "previous")) == ("multi", "single")
    until(lambda: supervised(multi) and pid(multi) > 0)
    until(lambda: not alive(victim))
    for wrong in ("nosuch", ".multi", "", "multi/b/run"):
        assert run(ours("runsvchdir", wrong), env=env)[0] == 111
    assert run(ours("runsvchdir", "multi"), env={**env, "RUNSVDIR": str(tmp_path / "nosuch")})[0] == 111
    assert run(ours("runsvchdir"), env=env)[0] == 100
    assert os.readlink(base / "current") == "multi"


def record(kind: int, line: bytes) -> bytes:
    """A utmp record of 384 bytes (utmp(5))."""
    return struct.pack("hxxi32s4s32s256s", kind, 77, line, b"1", b"someone", b"somewhere").ljust(
        utmpset.SIZE, b"\1"
    )


def test_a_logout_is_recorded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # RUN-089
    utmp, wtmp = tmp_path / "utmp", tmp_path / "wtmp"
    monkeypatch.setattr(utmpset, "UTMP", str(utmp))
    monkeypatch.setattr(utmpset, "WTMP", str(wtmp))
    monkeypatch.setattr(utmpset, "WIDE", ())
    wtmp.touch()
    first, second, third = record(7, b"tty1"), record(7, b"tty2"), record(6, b"tty3")
    utmp.write_bytes(first + second + third)
    assert main(["utmpset", "-w", "tty2"]) == 0
    written = utmp.read_bytes()
    assert (written[:384], written[768:]) == (first, third)
    changed = written[384:768]
    assert wtmp.read_bytes() == changed
    kind, number, line, mark, name, host = struct.unpack_from("hxxi32s4s32s256s", changed)
    assert (kind, number, line.rstrip(b"\0"), mark) == (8, 77, b"tty2", b"1\0\0\0")
    assert (name, host) == (bytes(32), bytes(256))
    assert abs(int.from_bytes(changed[340:344], "little") - time.time()) < 60
    assert main(["utmpset", "tty2"]) == 111  # nobody is there any more
    assert main(["utmpset", "tty3"]) == 111
    utmp.unlink()
    assert main(["utmpset", "tty1"]) == 111
    for wrong in ([], ["a", "b"], ["-z", "a"]):
        assert main(["utmpset", *wrong]) == 1


def test_old_commands_are_run_by_our_programs(started: Started) -> None:
    # RUN-247
    tree = Tree(started.directory)
    service = tree.add("a", SLEEP)
    tree.add("a/log", "exec cat")
    tree.begin()
    env = {**ENVIRONMENT, "SVDIR": str(tree.directory)}

    def alias(*words: str) -> tuple[int, str, str]:
        return run(ours("alias", *words), env=env)

    try:
        before = pid(service)
        code, out, _ = alias("sv", "restart", "a")
        assert (code, out.splitlines()[0].startswith(f"{service}: up (pid ")) == (0, True)
        assert pid(service) not in (0, before)
        code, _, err = alias("-v", "sv", "-w9", "sto", "a")
        assert (code, f"svc -wD -T 9000 -d -- {service}" in err, pid(service)) == (0, True, 0)
        assert alias("sv", "try-restart", "a")[0] == 0
        assert alias("sv", "check", "a")[0] == 0
        assert pid(service) == 0
        assert alias("sv", "start", "a")[0] == 0
        assert pid(service) > 0
        code, _, err = alias("sv", "force-restart", "a", "nosuch", "other")
        assert (code, "nothing is killed" in err) == (2, True)
        assert alias("svok", "a")[0] == 0
        assert alias("svstat", "-u", "a")[:2] == (0, "true\n")
        assert alias("/command/svc", "-d", "a")[0] == 0
        assert alias("chpst", "-P", "echo", "hi")[:2] == (0, "hi\n")
        for name in ("runit", "runit-init", "runsvchdir", "readproctitle", "rm"):
            assert alias(name)[0] == 100
        for wrong in (
            (),
            ("sv",),
            ("sv", "start"),
            ("sv", "s", "a"),
            ("sv", "", "a"),
            ("-z", "sv"),
            ("runsvdir",),
        ):
            assert alias(*wrong)[0] == 100
        code, _, err = alias("runsvdir", "-P", str(tree.directory), "log: ......")
        assert (code, err.count("warning")) == (100, 2)  # another svscan runs there
    finally:
        tree.end()
