"""svscan itself: its command line, its limits, what it scans and how often."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time

import pytest

from tests.process.service import make_service
from tests.process.tree import ROOT, Tree, ours
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def svscan(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ours("svscan", *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_every_directory_and_link_to_one_is_supervised_and_kept_alive(tree: Tree) -> None:
    # SUP-001 SUP-031
    tree.add("direct")
    make_service(tree.base / "elsewhere")
    (tree.scandir / "linked").symlink_to(tree.base / "elsewhere")
    (tree.scandir / "a-file").write_text("not a service")
    tree.start()
    first = tree.wait_for("up", "direct")["pid"]
    tree.wait_for("up", "linked")
    tree.wait_for("tree")
    assert tree.happened("a-file") == []
    os.kill(first, signal.SIGKILL)
    assert tree.wait_for("down", "direct")["reason"] == "signal KILL"
    second = tree.wait_for("up", "direct")["pid"]
    assert alive(second)
    assert second != first


def test_a_second_svscan_of_the_same_directory_is_refused(tree: Tree) -> None:
    # SUP-002
    tree.start()
    second = svscan(tree.scandir)
    assert second.returncode == 100
    assert "another svscan" in second.stderr
    assert tree.stop() == 0


def test_readiness_is_one_newline_and_services_inherit_no_descriptor(tree: Tree) -> None:
    # SUP-003
    listing = "import os; found = sorted(os.listdir('/proc/self/fd')); print(found, file=open(os.environ['EAR'], 'w'))"
    tree.add("a", f'exec python3 -I -S -c "{listing}"')
    tree.start()  # which reads one newline, and then the end
    assert tree.ear.line() == "['0', '1', '2', '3']", "3 is the listing itself"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 100),
        (["a", "b"], 100),
        (["-q", "a"], 100),
        (["-d", "1", "a"], 100),
        (["-d", "99", "a"], 100),
        (["-X", "2", "a"], 100),
        (["-C", "many", "a"], 100),
        (["-t", "-5", "a"], 100),
        (["nowhere"], 111),
    ],
)
def test_a_wrong_command_line_is_100_and_a_missing_directory_111(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    # SUP-004 (partly) QUA-241 (partly)
    found = svscan(*arguments, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (code, "")
    assert found.stderr.startswith("svscan: fatal: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("what", [".svscan", ".svscan/control"])
def test_a_file_in_the_place_of_our_directory_or_fifo_is_refused_with_100(what: str, tmp_path: Path) -> None:
    # SUP-002 (partly) QUA-241 (partly)
    (tmp_path / what).parent.mkdir(exist_ok=True)
    (tmp_path / what).write_text("somebody's")
    assert svscan(tmp_path).returncode == 100
    assert (tmp_path / what).read_text() == "somebody's"


def test_our_own_files_have_the_modes_of_the_specification(tree: Tree) -> None:
    # SUP-002 (partly)
    tree.start()
    private = tree.scandir / ".svscan"
    modes = {name: (private / name).stat().st_mode & 0o7777 for name in ("lock", "control", "events")}
    assert private.stat().st_mode & 0o7777 == 0o700
    assert modes == {"lock": 0o600, "control": 0o600, "events": 0o600}


def test_more_services_than_the_limit_are_refused_with_one_message_until_there_is_room(
    tmp_path: Path,
) -> None:
    # SUP-004
    with Tree(tmp_path, "-C", "4") as tree:
        for name in "abcde":
            tree.add(name)
        tree.start()
        tree.wait_for("tree")
        assert [name for name in "abcde" if "up" in tree.happened(name)] == list("abcd")
        assert tree.said.count("too many services: 1 not supervised, e the first") == 1
        (tree.scandir / "a").rename(tree.base / "a")
        assert tree.ours("svscanctl", "-an", tree.scandir).returncode == 0
        tree.wait_for("up", "e")  # there is room once the other has ended


def test_loggers_count_against_the_limit(tmp_path: Path) -> None:
    with Tree(tmp_path, "-C", "4") as tree:
        for name in "abcd":
            tree.add(name)
            tree.add(f"{name}/log", "exec cat >/dev/null")
        tree.start()
        tree.wait_for("tree")
        assert sum(event["event"] == "supervised" for event in tree.events) <= 4


def test_the_limit_is_never_below_4_and_the_longest_name_never_below_11(tmp_path: Path) -> None:
    # SUP-004
    with Tree(tmp_path, "-C", "1", "-L", "2") as tree:
        for name in ("abc", "b", "c", "d", "twelve-bytes"):
            tree.add(name)
        tree.start()
        tree.wait_for("tree")
        assert [name for name in ("abc", "b", "c", "d") if "up" in tree.happened(name)] == [
            "abc",
            "b",
            "c",
            "d",
        ]
        assert tree.happened("twelve-bytes") == []
        assert tree.said.count("too long") == 1


def test_a_periodic_rescan_finds_what_nobody_announced(tmp_path: Path) -> None:
    # SUP-004
    with Tree(tmp_path, "-t", "100") as tree:
        tree.start()
        tree.wait_for("tree")
        tree.add("late")
        tree.wait_for("up", "late")


def test_an_empty_directory_is_populated_later(tree: Tree) -> None:
    # SUP-005 SUP-016 (partly)
    tree.start()
    tree.wait_for("tree")
    make_service(tree.base / "x")
    (tree.scandir / "x").symlink_to(tree.base / "x")
    assert tree.ours("svscanctl", "-a", tree.scandir).returncode == 0
    tree.wait_for("up", "x")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_idle_tree_makes_no_system_call(tree: Tree) -> None:
    # SUP-006
    for name in ("a", "b"):
        tree.add(name)
        tree.add(f"{name}/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "b/log")
    tree.settle()
    tracer = subprocess.Popen(
        ["strace", "-p", str(tree.pid), "-o", tree.base / "trace"], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        tracer.wait(5)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    tracer.stderr.close()
    calls = [line for line in (tree.base / "trace").read_text().splitlines() if "(" in line]
    assert len(calls) <= 1, calls  # the wait that it is in


def test_one_bad_entry_is_said_and_the_others_start(tree: Tree) -> None:
    # SUP-001 (partly)
    tree.add("bad")
    (tree.scandir / "bad/supervise").write_text("somebody's")
    tree.add("good")
    tree.start()
    tree.wait_for("up", "good")
    tree.wait_said("unable to supervise bad: Not a directory; trying again in 10 seconds")


def test_a_service_that_somebody_else_supervises_is_left_to_him(tree: Tree) -> None:
    # SUP-032 (partly)
    with Tree(tree.base / "other") as other:
        service = other.add("a")
        other.start()
        pid = other.wait_for("up", "a")["pid"]
        (tree.scandir / "a").symlink_to(service)
        tree.add("b")
        tree.start()
        tree.wait_for("up", "b")
        tree.wait_said("unable to supervise a: another supervisor does")
        assert alive(pid)
        assert tree.stop() == 0
        assert alive(pid)


# Trouble ------------------------------------------------------------------------------------------


def test_a_scan_that_fails_is_tried_again_after_5_seconds(tree: Tree) -> None:
    # SUP-030
    tree.start()
    tree.wait_for("tree")
    tree.add("a")
    limits = resource.prlimit(tree.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(
        tree.pid, resource.RLIMIT_NOFILE, (3, limits[1])
    )  # reading a directory takes a descriptor
    try:
        tree.control("a")
        asked = time.monotonic()
        tree.wait_said("unable to read the scan directory: Too many open files; trying again in 5 seconds")
    finally:
        resource.prlimit(tree.pid, resource.RLIMIT_NOFILE, limits)
    tree.wait_for("up", "a")
    assert 4.5 < time.monotonic() - asked < 7


def test_a_loop_of_links_does_not_keep_others_from_starting(tree: Tree) -> None:
    tree.start()
    tree.wait_for("tree")
    (tree.scandir / "loop").symlink_to("loop")
    tree.add("a")
    tree.control("a")
    tree.wait_said("trying again")
    tree.wait_for("up", "a", patience=3.0)
