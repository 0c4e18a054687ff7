"""A watched scan directory: what changes there is noticed without a command."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.process.service import SLEEP, make_service
from tests.process.tree import Tree
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# The watch ----------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path, "-w") as tree:
        yield tree.start()


def test_a_copied_service_starts_by_itself(watched: Tree) -> None:
    # SUP-005 (partly)
    make_service(watched.base / "template", SLEEP, data="x")
    watched.wait_for("tree")
    subprocess.run(["cp", "-r", watched.base / "template", watched.scandir / "copy"], check=True)
    watched.wait_for("up", "copy")


def test_a_half_copied_directory_is_waited_for_silently(watched: Tree) -> None:
    # SUP-005 (partly)
    watched.wait_for("tree")
    half = watched.scandir / "half"
    half.mkdir()
    make_service(half, None, notification_fd="3\n")
    watched.settle()
    assert watched.happened("half") == []
    assert not (half / "supervise").exists()
    make_service(half)
    watched.wait_for("up", "half")
    assert watched.said == ""


def test_a_directory_moved_into_place_starts_and_a_removed_one_is_left_alone(watched: Tree) -> None:
    # SUP-005 (partly) SUP-009
    watched.wait_for("tree")
    make_service(watched.scandir / ".a.new")
    (watched.scandir / ".a.new").rename(watched.scandir / "a")
    pid = watched.wait_for("up", "a")["pid"]
    (watched.scandir / "a").rename(watched.scandir / "b")
    os.kill(pid, signal.SIGKILL)
    pid = watched.wait_for("up", "b")["pid"] if "up" not in watched.happened("a")[2:] else 0
    assert pid
    (watched.scandir / "b").rename(watched.base / "aside")
    watched.settle()
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    watched.wait_for("released", "b")


def test_a_half_copied_directory_that_goes_away_is_forgotten(watched: Tree) -> None:
    # SUP-005 (partly)
    watched.wait_for("tree")
    for number in range(20):
        (watched.scandir / f"half{number}").mkdir()
    watched.settle()
    before = len(os.listdir(f"/proc/{watched.pid}/fd"))
    for number in range(20):
        (watched.scandir / f"half{number}").rmdir()
    watched.control("a")
    watched.settle()
    assert len(os.listdir(f"/proc/{watched.pid}/fd")) <= before - 20 + 5
    assert watched.said == ""
