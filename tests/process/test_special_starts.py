"""Starts that need more than a spawn: a lock, a pid namespace, scripts of runsv's kind, more descriptors than allowed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from tests.process.tree import ROOT, Tree
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        os.mkfifo(tmp_path / "never")
        yield tree


def test_a_second_copy_waits_until_the_lock_of_the_first_is_free(tree: Tree) -> None:
    # SUP-046
    leave = "(echo child >$EAR; read -r line <>../../never) & wait_for=$!; echo run >$EAR; [ -e gone ] || { touch gone; exit; }"
    tree.add("web", f"{leave}; exec sleep 999", lock_fd="9\n")
    tree.start().wait_for("down", "web")
    assert sorted((tree.ear.line(), tree.ear.line())) == ["child", "run"]
    tree.wait_for("up", "web")  # the second: it is up, and waits for the child that the first left behind
    tree.wait_said("held by another process")
    tree.settle()
    assert tree.ear.lines() == []
    with (tree.base / "never").open("w") as gate:
        gate.write("end\n")
    assert sorted((tree.ear.line(), tree.ear.line())) == ["child", "run"]
    with (tree.base / "never").open("w") as gate:
        gate.write("end\n")


def test_the_same_descriptor_for_readiness_and_lock_is_refused_once_and_for_all(tree: Tree) -> None:
    # SUP-047
    tree.add("web", lock_fd="3\n", notification_fd="3\n")
    assert "same" in tree.start().wait_for("failed", "web")["reason"]
    tree.settle()
    assert "up" not in tree.happened("web")
    assert "same" in tree.ours("svstat", "web").stdout


@needs_root
def test_run_is_process_1_of_a_pid_namespace_of_its_own_and_the_tree_is_not(tree: Tree) -> None:
    # SUP-048
    tree.add("own", "echo $$ >$EAR; exec sleep 999", flag_newpidns="")
    pid = tree.start().wait_for("up", "own")["pid"]
    assert tree.ear.line() == "1"
    assert alive(pid)
    tree.add("other", "echo $$ >$EAR; exec sleep 999")
    tree.control("a")
    assert tree.ear.line() == str(tree.wait_for("up", "other")["pid"])
    assert tree.ours("svc", "-wD", "-k", "own").returncode == 0


def control(tree: Tree, name: str, letter: str, content: str) -> None:
    path = tree.scandir / name / "control" / letter
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)


def test_a_control_script_that_exits_0_takes_the_place_of_the_signal(tree: Tree) -> None:
    # RUN-080
    tree.add("web")
    control(tree, "web", "t", "echo instead >$EAR; exit 0")
    pid = tree.start().wait_for("up", "web")["pid"]
    tree.send("web", "t")
    assert tree.ear.line() == "instead"
    tree.settle()
    assert alive(pid)
    control(tree, "web", "t", "echo before >$EAR; exit 1")
    tree.send("web", "t")
    assert tree.ear.line() == "before"
    assert tree.wait_for("down", "web")["reason"] == "signal TERM"


def test_letters_after_one_whose_script_runs_wait_for_it_and_other_services_do_not(tree: Tree) -> None:
    # RUN-080
    tree.add("web")
    tree.add("other")
    control(tree, "web", "h", "echo begun >$EAR; read -r line <>../../never; exit 0")
    tree.start().wait_for("up", "web")
    tree.wait_for("up", "other")
    tree.send("web", "hd")
    assert tree.ear.line() == "begun"
    tree.send("other", "d")
    tree.wait_for("finished", "other")
    assert "down" not in tree.happened("web")
    with (tree.base / "never").open("w") as gate:
        gate.write("end\n")
    tree.wait_for("finished", "web")


def test_down_runs_the_scripts_t_and_d_and_a_t_that_exits_0_brings_it_down_itself(tree: Tree) -> None:
    # RUN-080
    tree.add("web", "echo $$ >pid; exec sleep 999")
    control(tree, "web", "t", 'echo t >$EAR; kill -INT "$(cat pid)"')
    control(tree, "web", "d", "echo d >$EAR")
    tree.start().wait_for("up", "web")
    tree.send("web", "d")
    assert sorted((tree.ear.line(), tree.ear.line())) == ["d", "t"]
    assert tree.wait_for("down", "web")["reason"] == "signal INT"
    tree.wait_for("finished", "web")
    tree.settle()
    assert not tree.status("web").wanted


def test_services_beyond_the_descriptors_that_may_be_had_are_refused_in_one_message_and_the_others_run(
    tree: Tree,
) -> None:
    # SUP-004
    for number in range(40):
        tree.add(f"s{number:02}")
    limited = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    tree.start(prefix=limited)
    tree.wait_for("tree")
    tree.wait_said("too many services")
    up = {event["service"] for event in tree.events if event["event"] == "up"}
    assert up == {f"s{number:02}" for number in range(24)}
    assert tree.said.count("too many services: 16 not supervised, s24 the first") == 1


def test_the_soft_limit_is_raised_for_the_tree_and_not_for_its_services(tree: Tree) -> None:
    for number in range(30):
        tree.add(f"s{number:02}")
    tree.add("zz", "ulimit -Sn >$EAR; exec sleep 999")
    tree.start(prefix=("sh", "-c", 'ulimit -Sn 128; exec "$@"', "sh"))
    tree.wait_for("tree")
    assert tree.ear.line() == "128"
    assert "too many" not in tree.said


def test_a_failure_to_start_is_said_in_the_services_own_log_and_in_its_status(tree: Tree) -> None:
    run = tree.add("web") / "run"
    run.write_text("#!/nonexistent/shell\n")
    tree.add("web/log", 'read -r line; echo "$line" >$EAR; exec cat >/dev/null')
    tree.start()
    words = "unable to run ./run: its interpreter '/nonexistent/shell' does not exist"
    assert tree.ear.line() == f"svscan: warning: web: {words}"
    tree.settle()
    assert words in tree.ours("svstat", "web").stdout
    run.write_text("#!/bin/sh\nexec sleep 999\n")
    tree.send("web", "u")
    tree.wait_for("up", "web")
    tree.settle()
    assert "unable" not in tree.ours("svstat", "web").stdout


def test_the_locale_that_python_invents_is_not_handed_to_services(tree: Tree) -> None:
    # SUP-035
    tree.add("web", "env >env; echo done >$EAR; exec sleep 999")
    names = {"LC_ALL", "LC_CTYPE", "LANG"}
    tree.environment = {name: text for name, text in tree.environment.items() if name not in names}
    tree.start()
    assert tree.ear.line() == "done"
    assert "LC_CTYPE" not in (tree.scandir / "web/env").read_text()


def test_the_limit_of_the_tests_themselves_is_what_they_think() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from initfs import process; print(process.raise_descriptor_limit(64))"
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert (
        int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        == soft
    )
