"""s6's clients against our tree (Debian package s6), and our clients against a real s6-supervise."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.process.service import LISTENER, READY_ON_3, SLEEP, make_service
from tests.process.tree import Tree
from tests.process.waiting import alive, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("s6-svc") is None, reason="s6 is not installed")


def code(tree: Tree, *command: object) -> int:
    found = tree.client(*command)
    return found.returncode


def test_svok_sees_the_lock(tree: Tree) -> None:
    # SUP-063 (partly)
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert code(tree, "s6-svok", "a") == 0
    tree.send("a", "t")
    tree.wait_for("up", "a")
    tree.settle()
    assert tree.ours("svok", "a").returncode == 0
    assert code(tree, "s6-svok", "a") == 0, "the lock is still held after clients came and went"
    assert tree.stop() == 0
    assert code(tree, "s6-svok", "a") == 1


def test_svstat_reads_our_status(tree: Tree) -> None:
    # SUP-062 (partly)
    tree.add("a", READY_ON_3, notification_fd="3\n", finish="exit 0")
    tree.add("b", down="")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.wait_for("ready", "a")
    tree.settle()
    assert f"up (pid {pid}" in tree.client("s6-svstat", "a").stdout
    fields = tree.client(
        "s6-svstat", "-o", "up,wantedup,normallyup,ready,paused,pid,exitcode,signum", "a"
    ).stdout
    assert fields.split() == ["true", "true", "true", "true", "false", str(pid), "-1", "-1"]
    assert tree.client("s6-svstat", "-o", "up,wantedup,normallyup,pid", "b").stdout.split() == [
        "false",
        "false",
        "false",
        "-1",
    ]
    tree.send("a", "k")
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    tree.settle()
    assert tree.client("s6-svstat", "-o", "up,pid,exitcode,signal", "a").stdout.split() == [
        "false",
        "-1",
        "-1",
        "SIGKILL",
    ]


def test_svc_sends_every_letter(tree: Tree) -> None:
    # SUP-055 (partly)
    service = tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    letters = {
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
        "r": "TERM",
    }
    for letter, name in letters.items():
        assert code(tree, "s6-svc", f"-{letter}", "a") == 0
        assert tree.ear.line() == f"SIG{name}", letter
    assert code(tree, "s6-svc", "-D", "a") == 0
    assert [tree.ear.line(), tree.ear.line()] == ["SIGTERM", "SIGCONT"]
    tree.settle()
    assert (service / "down").exists()
    assert code(tree, "s6-svc", "-U", "a") == 0
    tree.settle()
    assert not (service / "down").exists()
    assert code(tree, "s6-svc", "-O", "a") == 0
    tree.settle()
    assert not tree.status("a").wanted
    assert alive(pid)
    assert code(tree, "s6-svc", "-k", "a") == 0
    tree.wait_for("finished", "a")
    assert tree.stop() == 0
    assert code(tree, "s6-svc", "-u", "a") in (100, 102)


@pytest.mark.parametrize("wait", ["u", "U", "d", "D", "r", "R"])
def test_svc_waits_for_each_state(wait: str, tree: Tree) -> None:
    # SUP-057 (partly)
    tree.add(
        "a", READY_ON_3, notification_fd="3\n", finish="exit 0", **({"down": ""} if wait in "uU" else {})
    )
    tree.start()
    tree.wait_furnished("a")
    if wait not in "uU":
        tree.wait_for("ready", "a")
        tree.settle()
    command = {"u": "-u", "U": "-u", "d": "-d", "D": "-d", "r": "-r", "R": "-r"}[wait]
    assert code(tree, "s6-svc", f"-w{wait}", "-T9000", command, "a") == 0
    status = tree.status("a")
    assert status.ready or wait not in "UR"
    assert bool(status.pid) or wait in "dD"


def test_svwait_and_svlisten1(tree: Tree) -> None:
    # SUP-064 (partly) SUP-065 (partly)
    tree.add("a", READY_ON_3, notification_fd="3\n")
    tree.add("b", READY_ON_3, notification_fd="3\n", down="")
    tree.start()
    tree.wait_for("ready", "a")
    tree.settle()
    assert code(tree, "s6-svwait", "-t9000", "-U", "a") == 0
    assert code(tree, "s6-svwait", "-t9000", "-d", "b") == 0
    assert code(tree, "s6-svwait", "-t9000", "-o", "-U", "a", "b") == 0
    assert code(tree, "s6-svwait", "-t100", "-a", "-U", "a", "b") in (99, 1)
    assert code(tree, "s6-svlisten1", "-t9000", "-U", "b", "s6-svc", "-u", "b") == 0
    assert tree.status("b").ready
    assert code(tree, "s6-svlisten1", "-t9000", "-D", "b", *["s6-svc", "-d", "b"]) == 0
    assert tree.status("b").pid == 0


def test_ftrig_listen1_hears_a_whole_life_and_a_permanent_failure(tree: Tree) -> None:
    # SUP-040
    tree.add("a", "echo >&3; exit 3", notification_fd="3\n", finish="exit 125", down="")
    tree.start()
    tree.wait_furnished("a")
    found = tree.client("s6-ftrig-listen1", "-t9000", "a/event", "uUdOD", "s6-svc", "-u", "a")
    assert (found.returncode, found.stderr) == (0, "")
    tree.settle()
    assert not tree.status("a").wanted


def test_ftrig_listen1_hears_a_supervisor_go(tree: Tree) -> None:
    # SUP-016 (partly)
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    found = tree.client("s6-ftrig-listen1", "-t9000", "a/event", "dDx", *["s6-svc", "-dx", "a"])
    assert found.returncode == 0


# Ours against theirs ----------------------------------------------------------------------------------


def test_our_clients_on_a_real_s6_supervise(tmp_path: Path) -> None:
    # SUP-055 (partly) SUP-057 (partly)
    tree = Tree(tmp_path)
    service = make_service(tmp_path / "theirs", READY_ON_3, notification_fd="3\n")
    program = subprocess.Popen(["s6-supervise", service], env=tree.environment, stderr=subprocess.PIPE)
    try:
        wait_exists(service / "supervise/status")
        assert tree.ours("svc", "-wU", "-T9000", "-u", service).returncode == 0
        assert tree.ours("svc", "-wD", "-T9000", "-d", service).returncode == 0
        assert tree.ours("svc", "-wU", "-T9000", "-u", service).returncode == 0
        assert tree.ours("svwait", "-t", "9000", "-U", service).returncode == 0
        assert tree.ours("svc", "-wD", "-T9000", "-xd", service).returncode == 0
        assert program.wait(20) == 0
    finally:
        program.kill()
        assert program.stderr is not None
        program.stderr.close()
        program.wait(20)
        assert tree.finish() == []


def test_our_svscan_leaves_a_service_of_s6_to_it_and_s6_one_of_ours_to_us(tree: Tree) -> None:
    # SUP-032 (partly)
    service = make_service(tree.base / "theirs", SLEEP)
    program = subprocess.Popen(["s6-supervise", service], env=tree.environment, stderr=subprocess.PIPE)
    try:
        wait_exists(service / "supervise/status")
        (tree.scandir / "a").symlink_to(service)
        mine = tree.add("b")
        tree.start()
        pid = tree.wait_for("up", "b")["pid"]
        tree.settle()
        tree.wait_said("another supervisor does")
        assert code(tree, "s6-svok", service) == 0
        assert code(tree, "s6-supervise", mine) != 0
        assert alive(pid)
    finally:
        program.terminate()
        assert program.stderr is not None
        program.stderr.close()
        program.wait(20)
