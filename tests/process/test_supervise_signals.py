"""Which signals a service is sent, when, and who is not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.process.service import LISTENER
from tests.process.tree import Tree
from tests.process.waiting import alive, wait_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HEEDLESS = "trap '' TERM; echo up >$EAR; while :; do read -r line <>../../never; done"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        os.mkfifo(tmp_path / "never")
        yield tree


def test_a_run_that_ignores_term_is_killed_after_its_time(tree: Tree) -> None:
    # SUP-042
    tree.add("a", HEEDLESS, timeout_kill="200\n")
    tree.start()
    assert tree.ear.line() == "up"
    asked = time.monotonic()
    tree.send("a", "d")
    down = tree.wait_for("down", "a")
    assert down["reason"] == "signal KILL"
    assert 0.19 <= down["time"] - asked < 4.0


def test_without_the_file_nothing_is_killed_and_with_the_flag_the_group_is(tree: Tree) -> None:
    # SUP-042
    tree.add("a", "sleep 998 & echo $! >$EAR; " + HEEDLESS, timeout_kill="100\n", flag_timeout_killpg="")
    tree.start()
    child = int(tree.ear.line())
    assert tree.ear.line() == "up"
    tree.add("b", HEEDLESS)
    tree.control("a")
    patient = tree.wait_for("up", "b")["pid"]
    assert tree.ear.line() == "up"
    tree.send("b", "d")
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    wait_dead(child)
    assert alive(patient)
    os.kill(patient, signal.SIGKILL)


@pytest.mark.parametrize("word", ["INT", "SIGINT", "int", "2", "2\nand more"])
def test_the_down_signal_is_a_name_or_a_number(word: str, tree: Tree) -> None:
    # SUP-043
    tree.add("a", LISTENER, down_signal=word + "\n")
    tree.start()
    assert tree.ear.line() == "up"
    tree.send("a", "r")
    assert tree.ear.line() == "SIGINT"
    tree.settle()
    assert tree.status("a").wanted
    tree.send("a", "d")
    assert tree.ear.line() == "SIGINT"
    assert tree.ear.line() == "SIGCONT"
    tree.settle()
    assert not tree.status("a").wanted
    tree.send("a", "k")


def test_the_reload_signal_is_hangup_unless_a_file_says_otherwise(tree: Tree) -> None:
    # SUP-044
    service = tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.send("a", "l")
    assert tree.ear.line() == "SIGHUP"
    (service / "reload-signal").write_text("USR1\n")
    tree.send("a", "l")
    assert tree.ear.line() == "SIGUSR1"
    tree.send("a", "k")


def test_killing_the_group_reaches_the_grandchildren(tree: Tree) -> None:
    # SUP-055 (partly)
    tree.add("a", "sleep 999 & echo $! >$EAR; wait")
    tree.start()
    child = int(tree.ear.line())
    tree.send("a", "K")
    assert tree.wait_for("down", "a")["reason"] == "signal KILL"
    wait_dead(child)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_but_our_children_is_ever_signalled(tree: Tree) -> None:
    # SUP-055 (partly)
    tree.add("a", LISTENER, finish="exit 0")
    tree.start()
    assert tree.ear.line() == "up"
    pids = {tree.wait_for("up", "a")["pid"]}
    trace = tree.base / "trace"
    tracer = subprocess.Popen(
        ["strace", "-p", str(tree.pid), "-e", "kill,tkill,tgkill", "-o", trace],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    tree.send("a", "abqhti12pcyrlPC")
    tree.send("a", "d")
    tree.send("a", "k")
    tree.wait_for("finished", "a")
    tree.send("a", "abqhkti12ypcPCKrl")
    tree.send("a", "u")
    pids.add(tree.wait_for("up", "a")["pid"])
    tree.send("a", "K")
    tree.wait_for("down", "a")
    assert tree.stop() == 0
    tracer.wait(10)
    tracer.stderr.close()
    sent = [line for line in trace.read_text().splitlines() if line.startswith(("kill", "tkill", "tgkill"))]
    assert {abs(int(line.partition("(")[2].partition(",")[0])) for line in sent} <= pids | {
        event["pid"] for event in tree.events if event["event"] == "up"
    }
    assert len(sent) >= 17


def test_what_the_tree_was_told_to_ignore_its_services_ignore_and_nothing_else(tree: Tree) -> None:
    """Not even SIGPIPE, which Python ignores, nor what the tree itself catches."""
    tree.add("a", "grep SigIgn /proc/self/status >$EAR")
    tree.start(prefix=("sh", "-c", "trap '' PROF VTALRM; exec \"$@\"", "sh"))
    ignored = int(tree.ear.line().split()[1], 16)
    internal = 0b11 << 31  # signals 32 and 33: posix_spawn(3) leaves them ignored
    assert ignored & ~internal == 1 << signal.SIGPROF - 1 | 1 << signal.SIGVTALRM - 1
