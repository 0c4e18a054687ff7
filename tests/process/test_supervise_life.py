"""The life of a service: start, readiness, restart, and what it is given."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import time

import pytest

from tests.process.service import READY_ON_3
from tests.process.tree import Tree
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


TOLD = 'echo "$*" >"$EAR"'


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        os.mkfifo(tmp_path / "never")
        yield tree


def test_run_is_told_its_name_as_the_scan_directory_spells_it(tree: Tree) -> None:
    # SUP-033
    tree.add("a", TOLD + '; echo "$0" >$EAR; exec sleep 999')
    tree.add("a/log", TOLD + "; exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("up", "a/log")
    assert sorted(tree.ear.line() for _ in range(3)) == ["./run", "a", "a/log"]


def test_run_and_finish_are_leaders_of_new_sessions_in_their_directory(tree: Tree) -> None:
    # SUP-034
    show = 'echo "$$ $(cut -d" " -f5,6 /proc/$$/stat) $(pwd)" >"$EAR"'
    service = tree.add("a", f"{show}; exec sleep 999", finish=show)
    tree.start()
    first = tree.ear.line().split()
    tree.send("a", "d")
    second = tree.ear.line().split()
    for pid, group, session, directory in (first, second):
        assert pid == group == session
        assert directory == str(service)
    assert first[0] != second[0]


def test_the_environment_is_the_same_at_every_start_and_in_finish(tree: Tree) -> None:
    # SUP-035
    show = "tr '\\0' '\\n' </proc/$$/environ | sort | cksum >\"$EAR\""
    tree.add("a", f"{show}; exec sleep 999", finish=show)
    tree.environment["SHELL_LEFT"] = "1"
    tree.start()
    seen = []
    for letter in "kdud":  # restarted by itself, then by hand; each death has its finish
        seen += [tree.ear.line()]
        tree.send("a", letter)
        if letter == "k":
            seen += [tree.ear.line()]
    seen += [tree.ear.line()]
    assert len(seen) == 6
    assert len(set(seen)) == 1


def test_a_down_file_keeps_it_down_until_it_is_asked(tree: Tree) -> None:
    # SUP-036
    tree.add("a", down="")
    tree.start()
    tree.wait_for("tree")
    tree.settle()
    assert tree.happened("a") == ["supervised"]
    assert "down (not started yet)" in tree.ours("svstat", "a").stdout
    assert "normally" not in tree.ours("svstat", "a").stdout
    tree.send("a", "u")
    tree.wait_for("up", "a")
    assert "normally down" in tree.ours("svstat", "a").stdout


def test_a_crash_loop_costs_one_start_a_second_and_a_good_service_comes_back_at_once(tree: Tree) -> None:
    # SUP-037
    tree.add("bad", "exit 1")
    tree.add("good")
    tree.start()
    good = tree.wait_for("up", "good")
    starts = [tree.wait_for("up", "bad")["time"] for _ in range(3)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(0.99 <= gap < 4.0 for gap in gaps), gaps
    os.kill(good["pid"], signal.SIGKILL)
    died = tree.wait_for("down", "good")["time"]
    assert tree.wait_for("up", "good")["time"] - died < 0.9


def test_an_explicit_start_does_not_wait(tree: Tree) -> None:
    # SUP-038
    tree.add("a", "exit 1")
    tree.start()
    tree.wait_for("finished", "a")
    asked = time.monotonic()
    tree.send("a", "u")
    assert tree.wait_for("up", "a")["time"] - asked < 0.9


def test_a_newline_on_the_notification_descriptor_is_readiness(tree: Tree) -> None:
    # SUP-045
    tree.add("a", READY_ON_3, notification_fd="3\n")
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("ready", "a")
    tree.settle()
    assert tree.status("a").ready
    assert tree.ours("svc", "-wU", "-u", "a").returncode == 0
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    tree.settle()
    assert not tree.status("a").ready


def test_what_closes_its_notification_descriptor_silently_is_not_ready(tree: Tree) -> None:
    # SUP-045
    tree.add(
        "a", "printf 'no newline' >&3; exec 3>&-; echo closed >$EAR; exec sleep 999", notification_fd="3"
    )
    tree.start()
    assert tree.ear.line() == "closed"
    tree.settle()
    assert "ready" not in tree.happened("a")
    pid = tree.status("a").pid
    assert alive(pid)


def test_data_and_env_are_never_touched(tree: Tree) -> None:
    # SUP-050
    service = tree.add("a", "exit 1", finish="exit 0")
    for name in ("data", "env"):
        (service / name).mkdir()
        (service / name / "run").write_text("#!/bin/sh\necho executed >$EAR\n")
        (service / name / "run").chmod(0o755)
        (service / name).chmod(0o711)
    before = [os.stat(service / name) for name in ("data", "env", "data/run", "env/run")]
    tree.start()
    tree.wait_for("finished", "a")
    for letter in "uoUDQdpctkx":
        tree.send("a", letter)
    tree.wait_for("released", "a")
    tree.control("an")
    tree.settle()
    after = [os.stat(service / name) for name in ("data", "env", "data/run", "env/run")]
    assert before == after
    assert tree.ear.lines() == []


def test_self_once_first_thing_in_run_then_a_later_up_reruns_it_exactly_once(tree: Tree) -> None:
    # RUN-090
    once = f"{sys.executable} -m initfs.main svc -o ."
    tree.add("fw", f"{once}; echo run >$EAR; read -r line <../../never; echo ran >$EAR")
    tree.start()
    assert tree.ear.line() == "run"
    tree.settle()
    assert not tree.status("fw").wanted, "once"
    tree.send("fw", "u")  # while it runs: what it read before is out of date
    tree.settle()
    with (tree.base / "never").open("w") as never:
        never.write("go\n")
    assert [tree.ear.line(), tree.ear.line()] == ["ran", "run"]
    tree.settle()
    with (tree.base / "never").open("w") as never:
        never.write("go\n")
    assert tree.ear.line() == "ran"
    tree.wait_for("finished", "fw")
    tree.wait_for("finished", "fw")
    tree.settle()
    assert tree.happened("fw").count("up") == 2
    assert tree.ear.lines() == []


def test_memory_of_the_tree_for_50_services_is_bounded(tree: Tree) -> None:
    # SUP-078
    for number in range(50):
        tree.add(f"s{number}")
    tree.start()
    tree.wait_for("tree")
    tree.settle()
    with open(f"/proc/{tree.pid}/smaps_rollup") as file:
        rollup = file.read().splitlines()
    pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert pss < 10 * 1024, f"{pss} kB for 50 services"


@pytest.mark.skipif(shutil.which("s6-svc") is None, reason="s6-svc is not installed (Debian package s6)")
def test_the_first_thing_that_run_does_can_be_a_command_to_itself(tree: Tree) -> None:
    # RUN-090
    for number in range(50):
        tree.add(f"s{number}", 's6-svc -o . 2>/dev/null; echo "$?" >"$EAR"; exec sleep 999')
    tree.start()
    assert {tree.ear.line() for _ in range(50)} == {"0"}
