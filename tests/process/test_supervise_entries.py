"""Entries of a scan directory: renamed, gone, back again, pruned; and those of their loggers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.process.service import make_service
from tests.process.tree import ROOT, Tree, ours
from tests.process.waiting import alive, wait_dead, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def test_a_renamed_entry_keeps_its_process_and_gets_its_new_name(tree: Tree) -> None:
    # SUP-007
    tree.add("a", 'echo "$1" >"$EAR"; exec sleep 999')
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    assert tree.ear.line() == "a"
    (tree.scandir / "a").rename(tree.scandir / "b")
    tree.control("a")
    tree.settle()
    assert tree.status("b").pid == pid
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("up", "b")
    assert tree.ear.line() == "b"


def test_two_links_to_one_directory_are_one_service(tree: Tree) -> None:
    # SUP-007
    make_service(tree.base / "one")
    for name in ("first", "second"):
        (tree.scandir / name).symlink_to(tree.base / "one")
    tree.start()
    tree.wait_for("tree")
    assert sum(event["event"] == "up" for event in tree.events) == 1


def test_another_directory_under_an_old_name_is_another_service(tree: Tree) -> None:
    # SUP-007 SUP-009
    make_service(tree.base / "old")
    make_service(tree.base / "new")
    link = tree.scandir / "a"
    link.symlink_to(tree.base / "old")
    tree.start()
    old = tree.wait_for("up", "a")["pid"]
    link.unlink()
    link.symlink_to(tree.base / "new")
    tree.control("a")
    new = tree.wait_for("up", "a")["pid"]
    assert new != old
    assert alive(old), "nothing is killed because its entry went away"
    tree.control("n")
    wait_dead(old)
    assert alive(new)


def test_dot_entries_are_skipped_silently_and_long_names_with_a_warning(tree: Tree) -> None:
    # SUP-008
    tree.add(".hidden")
    tree.add("n" * 251)
    tree.add("n" * 252)
    tree.start()
    tree.wait_for("tree")
    assert tree.happened(".hidden") == tree.happened("n" * 252) == []
    assert "up" in tree.happened("n" * 251)
    assert tree.said.count("too long") == 1
    assert "hidden" not in tree.said


def test_what_vanished_lives_on_but_is_not_restarted(tree: Tree) -> None:
    # SUP-009
    make_service(tree.base / "a")
    (tree.scandir / "a").symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    (tree.scandir / "a").unlink()
    tree.control("a")
    tree.settle()
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("released", "a")
    assert tree.happened("a").count("up") == 1


def test_what_returns_while_it_lives_is_kept_alive_again(tree: Tree) -> None:
    # SUP-009
    make_service(tree.base / "a")
    link = tree.scandir / "a"
    link.symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    link.unlink()
    tree.control("a")
    tree.settle()
    link.symlink_to(tree.base / "a")
    tree.control("a")
    tree.settle()
    assert tree.status("a").pid == pid
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("up", "a")


@pytest.mark.parametrize("letters", ["an", "aN", "h"])
def test_prune_ends_what_has_no_entry_any_more_and_nothing_else(letters: str, tree: Tree) -> None:
    # SUP-010 SUP-016 (partly)
    for name in ("a", "b"):
        make_service(tree.base / name)
        make_service(tree.base / name / "log", "exec cat >/dev/null")
        (tree.scandir / name).symlink_to(tree.base / name)
    tree.start()
    gone = [tree.wait_for("up", name)["pid"] for name in ("a", "a/log")]
    kept = [tree.wait_for("up", name)["pid"] for name in ("b", "b/log")]
    (tree.scandir / "a").unlink()
    assert tree.ours("svscanctl", f"-{letters}", tree.scandir).returncode == 0
    tree.wait_for("released", "a")
    tree.wait_for("released", "a/log")
    assert [alive(pid) for pid in gone + kept] == [False, False, True, True]


def test_a_prune_alone_does_not_look_at_the_directory(tree: Tree) -> None:
    # SUP-010
    make_service(tree.base / "a")
    (tree.scandir / "a").symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    (tree.scandir / "a").unlink()
    tree.control("n")
    tree.settle()  # this scans: from here on it is inactive
    assert alive(pid)


def test_dangling_links_are_removed_at_the_start_and_only_then(tree: Tree) -> None:
    # SUP-011
    early, late, hidden = tree.scandir / "early", tree.scandir / "late", tree.scandir / ".hidden"
    early.symlink_to("nowhere")
    hidden.symlink_to("nowhere")
    tree.start()
    tree.wait_for("tree")
    assert not early.is_symlink()
    assert hidden.is_symlink()
    late.symlink_to("nowhere")
    tree.control("a")
    tree.settle()
    assert late.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_link_that_leads_where_we_may_not_look_is_not_removed(tmp_path: Path) -> None:
    scandir = tmp_path / "scan"
    make_service(tmp_path / "secret/service")
    scandir.mkdir()
    (scandir / "a").symlink_to(tmp_path / "secret/service")
    for path in [scandir, *tmp_path.parents[:3], tmp_path]:
        path.chmod(path.stat().st_mode | 0o5)
    os.chown(scandir, 65534, 65534)
    (tmp_path / "secret").chmod(0)
    command = ours("svscan", scandir)
    allowed = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x", sys.executable]
    if subprocess.run(allowed, check=False).returncode:
        pytest.skip("nobody may not run this Python")
    program = subprocess.Popen(
        command, user=65534, group=65534, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    try:
        wait_exists(scandir / ".svscan/events")
        assert program.stderr is not None
        program.stderr.readline()  # about the entry, whatever is said
    finally:
        program.terminate()
        program.communicate(timeout=20)
    assert (scandir / "a").is_symlink()


def test_there_is_no_third_level_of_loggers(tree: Tree) -> None:
    # SUP-015
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.add("a/log/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a/log")
    tree.wait_for("tree")
    assert {event["service"] for event in tree.events} == {"", "a", "a/log"}
    assert not (tree.scandir / "a/log/log/supervise").exists()


def test_a_lost_log_directory_does_not_end_the_service(tree: Tree) -> None:
    # SUP-009 (partly)
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    service, logger = (tree.wait_for("up", name)["pid"] for name in ("a", "a/log"))
    (tree.scandir / "a/log").rename(tree.base / "aside")
    tree.control("a")
    tree.settle()
    assert alive(service)
    assert alive(logger), "nothing is killed because its entry went away"


def test_a_log_directory_that_returns_is_kept_alive_without_a_gap(tree: Tree) -> None:
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    logger = tree.wait_for("up", "a/log")["pid"]
    (tree.scandir / "a/log").rename(tree.base / "aside")
    tree.control("a")
    tree.settle()
    (tree.base / "aside").rename(tree.scandir / "a/log")
    tree.control("a")
    tree.settle()
    os.kill(logger, signal.SIGKILL)
    tree.wait_for("up", "a/log")
    assert "released" not in tree.happened("a/log")


def test_a_logger_that_comes_later_reads_from_the_next_life_on(tree: Tree) -> None:
    # SUP-014 (partly)
    tree.add("a", "echo a line; exec sleep 999")
    tree.start()
    first = tree.wait_for("up", "a")["pid"]
    tree.wait_said("a line")
    tree.add("a/log", 'while read -r line; do echo "logged $line" >"$EAR"; done')
    tree.control("a")
    tree.wait_for("up", "a/log")
    assert alive(first), "it keeps its old standard output"
    tree.send("a", "r")
    tree.wait_for("up", "a")
    assert tree.ear.line() == "logged a line"
