"""What happens after run: finish, the time it has, and what it can decide."""

from __future__ import annotations

import os
import signal

import pytest

from initfs.supervise.status import FINISH, RUN
from tests.process.service import make_service
from tests.process.tree import Tree
from tests.process.waiting import alive, wait_dead

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


@pytest.mark.parametrize(
    ("run", "expected"),
    [("exit 0", "0 0"), ("exit 7", "7 0"), ("exit 255", "255 0"), ("kill -KILL $$", "256 9")],
)
def test_finish_is_told_how_run_ended(run: str, expected: str, tree: Tree) -> None:
    # SUP-039
    tree.add("a", run, finish=TOLD)
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    assert tree.ear.line() == f"{expected} a {pid}"


def test_finish_can_end_what_its_process_group_left(tree: Tree) -> None:
    # SUP-039
    tree.add("a", "sleep 999 & echo $! >$EAR; wait", finish="kill -KILL -$4")
    tree.start()
    child = int(tree.ear.line())
    tree.send("a", "t")
    tree.wait_for("finished", "a")
    wait_dead(child)


def test_finish_with_125_is_a_permanent_failure(tree: Tree) -> None:
    # SUP-040
    tree.add("a", "exit 3", finish="exit 125")
    tree.start()
    assert "125" in tree.wait_for("failed", "a")["reason"] or tree.happened("a").count("up") == 1
    tree.wait_for("finished", "a")
    tree.settle()
    assert not tree.status("a").wanted
    assert tree.happened("a").count("up") == 1
    assert "down (exitcode 3)" in tree.ours("svstat", "a").stdout
    tree.send("a", "u")
    tree.wait_for("up", "a")


def test_a_finish_that_takes_too_long_is_killed(tree: Tree) -> None:
    # SUP-041
    tree.add("a", "exit 1", finish="echo $$ >$EAR; trap '' TERM; exec sleep 999", timeout_finish="200\n")
    tree.add("b", "exit 1", finish="echo $$ >$EAR; kill -STOP $$", timeout_finish="200\n")
    tree.start()
    for name in ("a", "b"):
        began = tree.wait_for("down", name)["time"]
        assert 0.1 <= tree.wait_for("finished", name)["time"] - began < 4.0  # 5 s without the file


def test_without_a_file_finish_has_5_seconds_and_with_0_it_has_for_ever(tree: Tree) -> None:
    # SUP-041
    tree.add("a", "exit 1", finish="exec sleep 999")
    tree.add("b", "exit 1", finish="exec sleep 999", timeout_finish="0\n")
    tree.start()
    began = tree.wait_for("down", "a")["time"]
    tree.wait_for("down", "b")
    assert 4.99 <= tree.wait_for("finished", "a")["time"] - began < 6.0
    assert tree.status("b").state == FINISH
    os.kill(tree.status("b").pid, signal.SIGKILL)


def test_x_ends_supervision_after_the_next_death_and_finish_sees_dev_null(tmp_path: Path) -> None:
    # SUP-053
    with Tree(tmp_path) as tree:
        show = "in=$(readlink /proc/$$/fd/0); out=$(readlink /proc/$$/fd/1); echo $in >$EAR; echo $out >$EAR"
        service = make_service(tree.base / "a", finish=show)
        (tree.scandir / "a").symlink_to(service)
        make_service(service / "log", "exec cat >/dev/null")
        tree.start()
        pid = tree.wait_for("up", "a")["pid"]
        tree.send("a", "x")
        tree.settle()
        assert alive(pid)
        assert tree.status("a").state == RUN
        (tree.scandir / "a").unlink()
        tree.control("a")
        tree.settle()
        os.kill(pid, signal.SIGTERM)
        assert [tree.ear.line(), tree.ear.line()] == ["/dev/null", "/dev/null"]
        tree.wait_for("released", "a")
        assert tree.happened("a").count("up") == 1
