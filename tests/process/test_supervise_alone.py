"""supervise: one service in a process of its own, its signals, and its use on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from initfs.notify import fifodir
from initfs.supervise.status import decode
from tests.process.service import LISTEN, SLEEP, make_service
from tests.process.tree import ROOT, ours
from tests.process.waiting import MARK, PATIENCE, Ear, alive, marked, wait_dead, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Program = subprocess.Popen[bytes]


class Alone:
    """A service directory, its listener, and the supervisor."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.service = base / "a"
        self.ear = Ear(base / "ear")
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "EAR": str(self.ear.path), MARK: str(base)}
        self.programs: list[Program] = []

    def start(self, run: str = SLEEP, *, program: str = "supervise", **knobs: str) -> Program:
        make_service(self.service, run, **knobs)
        fifodir.ensure(str(self.service / "event"))
        self.listener = fifodir.Subscription(str(self.service / "event"))
        started = subprocess.Popen(
            ours(program, self.service),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.programs.append(started)
        return started

    def hear(self, letters: str) -> None:
        """Return when the event LETTERS have come, in this order."""
        left, deadline = letters.encode(), time.monotonic() + PATIENCE
        while left:
            assert select.select([self.listener.fd], [], [], max(0.0, deadline - time.monotonic()))[0], left
            for letter in self.listener.read():
                if left and letter == left[0]:
                    left = left[1:]

    @property
    def pid(self) -> int:
        return decode((self.service / "supervise/status").read_bytes()).pid

    def send(self, letters: str) -> None:
        (self.service / "supervise/control").write_bytes(letters.encode())


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    alone = Alone(tmp_path)
    yield alone
    for program in alone.programs:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        assert program.stdout is not None
        program.stdout.close()
        program.wait(PATIENCE)
    left = marked(str(tmp_path))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "something is left"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ours(*map(str, arguments)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_it_starts_run_and_restarts_it_when_it_dies(alone: Alone) -> None:
    # SUP-031
    supervisor = alone.start()
    alone.hear("su")
    first = alone.pid
    os.kill(first, signal.SIGKILL)
    alone.hear("dDu")
    wait_dead(first)
    assert alone.pid != first
    supervisor.terminate()
    alone.hear("dDx")
    assert supervisor.wait(PATIENCE) == 0


def test_a_second_one_is_refused(alone: Alone) -> None:
    # SUP-032
    supervisor = alone.start()
    alone.hear("su")
    second = run("supervise", alone.service)
    assert second.returncode == 100
    assert second.stderr.count("another supervisor") == 1
    assert alive(alone.pid)
    supervisor.terminate()
    assert supervisor.wait(PATIENCE) == 0


def test_wrong_usage_is_100_and_a_missing_directory_111(tmp_path: Path) -> None:
    # SUP-032 (partly) QUA-241 (partly)
    assert run("supervise").returncode == 100
    assert run("supervise", "a", "b").returncode == 100
    assert run("supervise", tmp_path / "nowhere").returncode == 111


def test_the_name_is_passed_on_as_it_was_given(alone: Alone) -> None:
    # SUP-033
    supervisor = alone.start('echo "$1" >"$EAR"; exec sleep 999')
    assert alone.ear.line() == str(alone.service)
    supervisor.terminate()
    assert supervisor.wait(PATIENCE) == 0


def test_term_brings_it_down_and_ends_and_hangup_ends_after_its_death(alone: Alone) -> None:
    # SUP-052
    supervisor = alone.start()
    alone.hear("su")
    pid = alone.pid
    supervisor.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.wait(0.2)
    assert alive(pid)
    os.kill(pid, signal.SIGTERM)
    alone.hear("dDx")
    assert supervisor.wait(PATIENCE) == 0
    supervisor = alone.start()
    alone.hear("su")
    supervisor.terminate()
    alone.hear("dDx")
    assert supervisor.wait(PATIENCE) == 0


def test_hangup_ends_it_at_once_when_the_service_is_down(alone: Alone) -> None:
    # SUP-052
    supervisor = alone.start(down="")
    alone.hear("s")
    wait_exists(alone.service / "supervise/status")
    supervisor.send_signal(signal.SIGHUP)
    alone.hear("x")
    assert supervisor.wait(PATIENCE) == 0


def test_quit_leaves_the_service_alone(alone: Alone) -> None:
    # SUP-052
    supervisor = alone.start()
    alone.hear("su")
    pid = alone.pid
    supervisor.send_signal(signal.SIGQUIT)
    alone.hear("x")
    assert supervisor.wait(PATIENCE) == 0
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_interrupt_is_passed_on_to_the_group(alone: Alone) -> None:
    # SUP-052
    (alone.base / "listen.py").write_text(LISTEN)
    supervisor = alone.start("exec python3 -I -S ../listen.py")
    assert alone.ear.line() == "up"
    pid = alone.pid
    supervisor.send_signal(signal.SIGINT)
    alone.hear("x")
    assert supervisor.wait(PATIENCE) == 0
    assert alone.ear.line() == "SIGINT"
    os.kill(pid, signal.SIGKILL)


def test_during_finish_term_ends_it_after_finish(alone: Alone) -> None:
    # SUP-052
    os.mkfifo(alone.base / "go")
    supervisor = alone.start("exit 0", finish="echo finish >$EAR; read -r line <../go")
    assert alone.ear.line() == "finish"
    alone.hear("sud")
    supervisor.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.wait(0.2)
    (alone.base / "go").write_text("go\n")
    alone.hear("Dx")
    assert supervisor.wait(PATIENCE) == 0


def test_control_c_on_a_terminal_ends_the_service_and_the_supervisor(alone: Alone) -> None:
    # SUP-076
    make_service(alone.service, "trap 'echo interrupted; exit 0' INT; echo started; read -r line; sleep 999")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(ours("x")[0], ours("supervise", alone.service), alone.environment)
    shown, deadline = b"", time.monotonic() + PATIENCE
    try:
        while b"started" not in shown and time.monotonic() < deadline:
            assert select.select([terminal], [], [], PATIENCE)[0]
            shown += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        while time.monotonic() < deadline:
            assert select.select([terminal], [], [], PATIENCE)[0]
            try:
                data = os.read(terminal, 4096)
            except OSError:  # nobody has it open any more
                break
            shown += data
        assert b"interrupted" in shown
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(terminal)


def test_run_works_by_hand(alone: Alone) -> None:
    # SUP-076
    make_service(alone.service, 'pwd >"$EAR"')
    subprocess.run(["./run"], cwd=alone.service, env=alone.environment, check=True)
    assert alone.ear.line() == str(alone.service)


def test_runsv_supervises_service_and_logger_and_reads_exit_as_down_then_exit(alone: Alone) -> None:
    # RUN-079 (partly)
    make_service(alone.service / "log", 'read -r line; echo "$line" >"$EAR"; exec cat >/dev/null')
    supervisor = alone.start("echo to the log; exec sleep 999", program="runsv")
    try:
        assert alone.ear.line() == "to the log"
        alone.send("x")
        assert supervisor.wait(PATIENCE) == 0
    finally:
        supervisor.terminate()
        supervisor.wait(PATIENCE)
