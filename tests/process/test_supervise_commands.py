"""svc against a running tree: every letter, every wait, every exit code."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.process.service import LISTENER, READY_ON_3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree


LETTER_SIGNALS = {
    "a": "ALRM",
    "b": "ABRT",
    "q": "QUIT",
    "h": "HUP",
    "t": "TERM",
    "i": "INT",
    "1": "USR1",
    "2": "USR2",
    "y": "WINCH",
    "c": "CONT",
    "C": "CONT",
    "r": "TERM",
    "l": "HUP",
}


def is_stopped(pid: int, wanted: bool) -> bool:
    """Whether a process gets into that state: a signal takes its time."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat") as file:
            if (file.read().rpartition(")")[2].split()[0] == "T") == wanted:
                return True
    return False


def test_every_letter_of_svc_that_is_a_signal_arrives_as_that_signal(tree: Tree) -> None:
    # SUP-055
    tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    for letter, name in LETTER_SIGNALS.items():
        assert tree.ours("svc", f"-{letter}", "a").returncode == 0
        assert tree.ear.line() == f"SIG{name}", letter
    tree.settle()
    assert tree.status("a").termed
    tree.send("a", "dk")


@pytest.mark.parametrize(("stop", "go"), ["pc", "PC"])
def test_pause_and_continue(stop: str, go: str, tree: Tree) -> None:
    # SUP-055
    tree.add("a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    tree.ours("svc", f"-{stop}", "a")
    tree.settle()
    assert is_stopped(pid, wanted=True)
    assert tree.status("a").paused
    assert ", paused" in tree.ours("svstat", "a").stdout
    tree.ours("svc", f"-{go}", "a")
    tree.settle()
    assert is_stopped(pid, wanted=False)
    assert not tree.status("a").paused


@pytest.mark.parametrize("letter", "kK")
def test_kill_and_kill_the_group(letter: str, tree: Tree) -> None:
    # SUP-055
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert tree.ours("svc", f"-{letter}", "a").returncode == 0
    assert tree.wait_for("down", "a")["reason"] == "signal KILL"
    tree.wait_for("up", "a")


def test_up_down_once_and_their_relatives(tree: Tree) -> None:
    # SUP-055 SUP-061
    service = tree.add("a", finish="exit 0")
    tree.start()
    first = tree.wait_for("up", "a")["pid"]
    tree.settle()

    def state() -> tuple[int, bool, bool]:
        tree.settle()
        return tree.status("a").pid, tree.status("a").wanted, (service / "down").exists()

    assert tree.ours("svc", "-o", "a").returncode == 0
    assert state() == (first, False, False), "o: no restart after this life"
    tree.ours("svc", "-u", "a")
    assert state() == (first, True, False)
    tree.ours("svc", "-O", "a")
    assert state() == (first, False, False)
    tree.ours("svc", "-U", "a")
    assert state() == (first, True, False)
    tree.ours("svc", "-Q", "a")
    assert state() == (first, False, True), "Q: down file, and the service alive"
    tree.ours("svc", "-U", "a")
    assert state() == (first, True, False)
    tree.ours("svc", "-wD", "-D", "a")
    assert state() == (0, False, True)
    tree.ours("svc", "-O", "a")
    assert state() == (0, False, True), "O starts nothing"
    tree.ours("svc", "-wu", "-o", "a")
    pid, wanted, _ = state()
    assert (pid > 0, wanted) == (True, False), "o starts what is down"
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("finished", "a")
    tree.wait_for("finished", "a")
    tree.ours("svc", "-Q", "a")
    assert state() == (0, False, True), "Q starts nothing"
    tree.ours("svc", "-U", "a")
    assert state()[1:] == (True, False)
    assert tree.ours("svc", "-x", "a").returncode == 0
    tree.settle()
    os.kill(tree.status("a").pid, signal.SIGKILL)
    tree.wait_for("released", "a")


def test_signals_by_name_and_only_those_that_have_a_letter(tree: Tree) -> None:
    # SUP-056
    tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.settle()
    for word, name in {
        "hup": "HUP",
        "SIGUSR1": "USR1",
        "12": "USR2",
        "Winch": "WINCH",
        "CONT": "CONT",
    }.items():
        assert tree.ours("svc", "-s", word, "a").returncode == 0
        assert tree.ear.line() == f"SIG{name}"
    for word in ("segv", "11", "nonsense", "0", "", "CHLD"):
        assert tree.ours("svc", "-s", word, "a").returncode == 100, word
    tree.settle()
    assert tree.ear.lines() == []
    tree.send("a", "dk")


def test_waits_for_each_state(tree: Tree) -> None:
    # SUP-057
    tree.add("a", READY_ON_3, notification_fd="3\n", finish="exit 0")
    tree.start()
    tree.wait_for("ready", "a")
    tree.settle()
    pid = tree.status("a").pid
    assert tree.ours("svc", "-wR", "-r", "a").returncode == 0
    again = tree.status("a")
    assert again.ready
    assert again.pid != pid
    assert tree.ours("svc", "-wd", "-d", "a").returncode == 0
    assert tree.ours("svc", "-wD", "-d", "a").returncode == 0
    assert tree.status("a").pid == 0
    assert tree.ours("svc", "-wu", "-u", "a").returncode == 0
    assert tree.ours("svc", "-uwU", "a").returncode == 0
    assert tree.status("a").ready
    assert tree.ours("svc", "-wr", "-k", "a").returncode == 0


def test_a_wait_in_vain_is_99_and_a_wrong_one_100(tree: Tree) -> None:
    # SUP-057 QUA-241 (partly)
    tree.add("a", notification_fd="3\n")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    began = time.monotonic()
    assert tree.ours("svc", "-wU", "-T100", "-u", "a").returncode == 99
    assert time.monotonic() - began < 2
    for wrong in (["-wx"], ["-wuU"], ["-wUd"], ["-Tsoon"], ["-w"]):
        assert tree.ours("svc", *wrong, "-u", "a").returncode == 100, wrong


def test_many_directories_are_all_tried_and_the_last_error_counts(tree: Tree) -> None:
    # SUP-058
    tree.add("a", down="")
    tree.add("b", down="")
    tree.start()
    tree.wait_furnished("b")
    found = tree.ours("svc", "-u", "none", "a", "nowhere", "b")
    assert found.returncode == 102
    tree.wait_for("up", "a")
    tree.wait_for("up", "b")
    assert found.stderr.splitlines() == [
        f"svc: fatal: {tree.scandir}/{name} is not supervised" for name in ("none", "nowhere")
    ]


def test_what_is_not_supervised_is_102_and_bad_usage_100(tree: Tree) -> None:
    # SUP-059 QUA-241 (partly)
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert tree.ours("svc", "a").returncode == 0, "nothing to send, but somebody is there"
    assert tree.ours("svc").returncode == 100
    assert tree.ours("svc", "-Z", "a").returncode == 100
    assert tree.ours("svc", "-" + "u" * 63, "a").returncode == 100
    assert tree.ours("svc", "-" + "a" * 62, "none").returncode == 102
    assert tree.stop() == 0
    assert tree.ours("svc", "-u", "a").returncode == 102
    assert tree.ours("svc", "a").returncode == 102


def test_waiting_for_ready_without_readiness_warns_and_waits_for_up(tree: Tree) -> None:
    # SUP-060
    tree.add("a", down="")
    tree.start()
    tree.wait_furnished("a")
    found = tree.ours("svc", "-wU", "-T9000", "-u", "a")
    assert found.returncode == 0
    assert "warning" in found.stderr


def test_waiting_for_ready_is_decided_for_each_directory(tree: Tree) -> None:
    # The rule of 1.5: per directory.
    tree.add("a", "exec sleep 999", notification_fd="3\n")
    tree.add("b", down="")
    tree.start()
    tree.wait_furnished("b")
    assert tree.ours("svc", "-wU", "-T300", "-u", "a", "b").returncode == 99, "a never gets ready"
