"""Too much of everything: floods of commands and signals, crowds of dead, subscribers that never read."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import termios
import time

import pytest

from tests.process.fuzzed import ROUNDS, Fuzzed
from tests.process.log_world import until
from tests.process.service import READY_ON_3, make_service
from tests.process.waiting import MARK, alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Fuzzed]:
    with Fuzzed(tmp_path) as tree:
        yield tree.begin()


def test_a_flooded_fifo_starves_nobody(tree: Fuzzed) -> None:
    fd = os.open(tree.target / "supervise/control", os.O_WRONLY | os.O_NONBLOCK)
    flood = b"hOuac\0\xff" * 585
    began, told = time.monotonic(), 0
    while told < 20:
        try:
            os.write(fd, flood[:4095])
        except BlockingIOError:
            tree.send("bystander", "C")
            told += 1
            asked = time.monotonic()
            tree.control("a")
            (tree.scandir / f"new{told}").symlink_to(make_service(tree.base / f"new{told}"))
            tree.control("a")
            tree.wait_for("up", f"new{told}", patience=5.0)
            assert time.monotonic() - asked < 5
        assert time.monotonic() - began < 60
    os.close(fd)
    tree.send("target", "d")
    assert all(map(alive, tree.bystanders))
    assert "bug" not in tree.said


def test_a_hundred_thousand_control_bytes_are_acted_on_and_disturb_nobody(tree: Fuzzed) -> None:
    # QUA-244 (partly)
    seed = int(os.environ.get("INITFS_SEED", "0")) or time.time_ns() % 1_000_000
    print(f"seed {seed}")
    chance = random.Random(seed)
    known = bytes(set(range(256)) - set(b"x"))  # which costs a second until it is supervised again
    fd = os.open(tree.target / "supervise/control", os.O_WRONLY)
    for number in range(25 * ROUNDS):  # ten million for a campaign
        os.write(fd, bytes(chance.choices(known, k=4096)))
        if number % 25 == 24:
            tree.check()
    os.write(fd, b"cdu")
    until(lambda: not any(fcntl.ioctl(fd, termios.FIONREAD, bytes(4))), "all of it read")
    os.close(fd)
    assert tree.ours("svc", "-wu", "-u", "target").returncode == 0
    tree.check()


def test_subscribers_that_never_read_or_send_garbage_are_dropped(tree: Fuzzed) -> None:
    here = os.open(tree.scandir / ".svscan", os.O_RDONLY)
    before = len(os.listdir(f"/proc/{tree.pid}/fd"))
    sockets = []
    for number in range(12):
        one = socket.socket(socket.AF_UNIX)
        one.connect(f"/proc/self/fd/{here}/events")
        sockets.append(one)
        if number % 3 == 0:
            one.send(b"\0garbage\xff" * 10)
    os.close(here)
    for _ in range(3):
        tree.send("target", "ud" * 400)
        tree.check()
    for one in sockets:
        one.close()
    tree.check()
    tree.settle()
    assert len(os.listdir(f"/proc/{tree.pid}/fd")) <= before + 60, "the markers of `settle`, and nothing else"


def test_a_storm_of_signals(tree: Fuzzed) -> None:
    for _ in range(300):
        for name in ("CHLD", "ALRM", "HUP", "USR1", "USR2", "WINCH", "PIPE", "IO", "PWR"):
            os.kill(tree.pid, signal.Signals[f"SIG{name}"])
    tree.check()
    assert alive(tree.pid)


def test_a_thousand_deaths_of_a_service_s_descendants_are_reaped(tree: Fuzzed) -> None:
    # SUP-013 (partly)
    orphan = "(for n in 1 2 3 4 5 6 7 8 9 10; do (exec true) & done); "
    tree.add("busy", f"{orphan * 20} echo done >$EAR; exec sleep 999")
    tree.control("a")
    assert tree.ear.line() == "done"
    tree.check()


def test_readiness_bytes_of_any_kind(tree: Fuzzed) -> None:
    # SUP-045 (partly)
    tree.add("chatty", "head -c 300000 /dev/zero >&3; echo >&3; exec sleep 999", notification_fd="3")
    tree.add("endless", "exec cat /dev/zero >&3", notification_fd="3")
    tree.add("closed", READY_ON_3, notification_fd="9999999999")
    tree.control("a")
    tree.wait_for("ready", "chatty")
    tree.check()
    tree.send("endless", "d")
    tree.wait_for("finished", "endless")
    tree.check()
    assert MARK in tree.environment
