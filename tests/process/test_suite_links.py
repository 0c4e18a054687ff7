"""svlink, svunlink and the instance programs on a real tree."""

from __future__ import annotations

import os
import signal

import pytest

from initfs.notify import fifodir
from tests.process.notify_world import Arrivals, end, ours, run, start
from tests.process.small_tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

WAIT = "-t9000"
SLEEP = "exec sleep 999"


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Iterator[Tree]:
    found = Tree(tmp_path / "scan")
    yield found
    found.end()


def program(path: pathlib.Path, script: str = SLEEP) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path.parent


def fields(service: pathlib.Path, *names: str) -> str:
    return run(ours("svstat", "-o", ",".join(names), service))[1].strip()


def test_a_service_is_put_in_and_taken_out_without_a_gap(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-072
    tree.begin()
    service = program(tmp_path / "store/web/run")
    program(service / "log/run", "exec cat")
    for _ in range(3):
        assert run(ours("svlink", WAIT, tree.directory, service)) == (0, "", "")
        assert os.readlink(tree.directory / "web") == str(service)
        for one in (service, service / "log"):
            assert run(ours("svok", one))[0] == 0
            assert (one / "event").stat().st_mode & 0o7777 == 0o3730
        assert run(ours("svlink", tree.directory, service, "other"))[0] == 100
        assert not (tree.directory / "other").is_symlink()
        assert run(ours("svunlink", WAIT, tree.directory, "web")) == (0, "", "")
        assert not (tree.directory / "web").is_symlink()
        for one in (service, service / "log"):
            assert run(ours("svok", one))[0] == 1


def test_a_service_may_come_down_and_stay_down(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-072 (partly)
    tree.begin()
    service = program(tmp_path / "store/web/run")
    for option, normally_up in (("-d", "true"), ("-D", "false")):
        assert run(ours("svlink", option, WAIT, tree.directory, service, "w"))[0] == 0
        assert fields(service, "up", "wantedup", "normallyup") == f"false false {normally_up}"
        assert run(ours("svunlink", WAIT, tree.directory, "w"))[0] == 0


def test_an_event_directory_of_the_other_mode_is_changed_by_force_only(
    tree: Tree, tmp_path: pathlib.Path
) -> None:
    # SUP-072 (partly)
    tree.begin()
    service = program(tmp_path / "store/web/run")
    fifodir.ensure(str(service / "event"))
    code, _, err = run(ours("svlink", "-P", WAIT, tree.directory, service))
    assert (code, "-f changes it" in err) == (100, True)
    assert os.listdir(tree.directory) == [".svscan"]
    assert run(ours("svlink", "-Pf", WAIT, tree.directory, service))[0] == 0
    assert (service / "event").stat().st_mode & 0o7777 == 0o1733
    assert run(ours("svunlink", WAIT, tree.directory, "web"))[0] == 0


def test_what_cannot_be_linked_leaves_nothing_behind(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-072 (partly)
    service = program(tmp_path / "store/web/run")
    (tmp_path / "scan").mkdir()
    assert run(ours("svlink", tree.directory, service))[0] == 1  # nobody scans there
    tree.begin()
    for name in (".x", "a/b", "", "a b"):
        assert run(ours("svlink", tree.directory, service, name))[0] == 100
    (tree.directory / "web").mkdir()
    assert run(ours("svlink", "-D", WAIT, tree.directory, service))[0] == 100
    (service / "run").chmod(0o644)
    assert run(ours("svlink", tree.directory, service, "n"))[0] == 100
    assert run(ours("svlink", tree.directory, tmp_path / "nosuch"))[0] == 100
    assert sorted(os.listdir(service)) == ["event", "run"]
    for wrong in ([], ["a"], ["-t", "x", "a", "b"], ["-z", "a", "b"], ["a", "b", "c", "d"]):
        assert run(ours("svlink", *wrong))[0] == 100


def test_a_link_that_nobody_follows_is_taken_back_in_time(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-072 (partly)
    tree.begin()
    assert tree.process is not None
    service = program(tmp_path / "store/web/run")
    tree.process.send_signal(signal.SIGSTOP)
    code, _, err = run(ours("svlink", "-D", "-t100", tree.directory, service))
    assert (code, "timed out" in err) == (99, True)
    assert not (tree.directory / "web").is_symlink()
    assert not (service / "down").exists()
    tree.process.send_signal(signal.SIGCONT)
    tree.process.send_signal(signal.SIGSTOP)
    two = program(tmp_path / "store/two/run")
    fifodir.ensure(str(two / "event"))
    with Arrivals(two / "event") as arrivals:
        waiting = start(ours("svlink", tree.directory, two))
        arrivals.wait()
        tree.process.kill()
        code, _, err = end(waiting)
    assert (code, "has ended" in err) == (111, True)
    tree.process = None


def test_taking_out_always_comes_to_an_end(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-072 (partly)
    tree.begin()
    service = program(tmp_path / "store/web/run", "trap '' TERM; while :; do sleep 999; done")
    assert run(ours("svlink", WAIT, tree.directory, service))[0] == 0
    code, _, err = run(ours("svunlink", "-t100", tree.directory, "web"))
    assert (code, "timed out" in err) == (0, True)
    assert run(ours("svok", service))[0] == 0
    assert run(ours("svunlink", tree.directory, "web"))[0] == 100
    assert run(ours("svlisten1", "-D", WAIT, service, "svc", "-K", service))[0] == 0
    other = program(tmp_path / "store/other/run")
    assert run(ours("svlink", WAIT, tree.directory, other))[0] == 0
    assert run(ours("svunlink", "-X", tree.directory, "other")) == (0, "", "")
    for wrong in ([], ["a"], [tree.directory, ".x"], [tree.directory, "nosuch"], ["-t", "", "a", "b"]):
        assert run(ours("svunlink", *wrong))[0] == 100


def instanced(tree: Tree) -> pathlib.Path:
    """An instanced service in the tree, made by hand, whose run is svscan; ready when that one hears commands."""
    service = tree.add("many", "exec initfs svscan -d3 instance", notification_fd="3\n")
    (service / "instance").mkdir()
    (service / "instances").mkdir()
    program(service / "template/run", 'echo "$1" > said; exec sleep 999')
    program(service / "template/log/run", "exec cat")
    tree.begin()
    assert run(ours("svwait", "-U", WAIT, service))[0] == 0
    return service


def test_instances_live_and_die(tree: Tree) -> None:
    # SUP-074
    service = instanced(tree)
    assert run(ours("instance-create", WAIT, service, "one")) == (0, "", "")
    assert run(ours("instance-create", WAIT, "-d", service, "two")) == (0, "", "")
    assert os.readlink(service / "instance/one") == "../instances/one"
    assert set(run(ours("instance-list", service))[1].split()) == {"one", "two"}
    assert run(ours("instance-control", "-wu", "-T9000", "-u", service, "two"))[0] == 0
    code, out, _ = run(ours("instance-status", "-o", "up,wantedup", service, "two"))
    assert (code, out) == (0, "true true\n")
    assert run(ours("svok", service / "instance/one/log"))[0] == 0
    assert (service / "instances/two/said").read_text() == "two\n"
    assert run(ours("instance-create", service, "one"))[0] == 100
    assert run(ours("instance-delete", WAIT, service, "one")) == (0, "", "")
    assert run(ours("instance-list", service)) == (0, "two\n", "")
    assert (os.listdir(service / "instances"), (service / "instance/one").is_symlink()) == (["two"], False)
    assert run(ours("instance-status", service, "one"))[0] == 1
    assert run(ours("instance-control", "-d", service, "one"))[0] == 102


def test_what_is_wrong_with_an_instance_is_said(tree: Tree, tmp_path: pathlib.Path) -> None:
    # SUP-074 (partly)
    service = instanced(tree)
    for name in ("", ".x", "a/b", "a b", "a\nb"):
        assert run(ours("instance-create", service, name))[0] == 100
        assert run(ours("instance-delete", service, name))[0] == 100
        assert run(ours("instance-control", "-u", service, name))[0] == 100
    assert run(ours("instance-delete", service, "nosuch"))[0] == 100
    assert run(ours("instance-create", tmp_path / "nosuch", "x"))[0] == 111
    assert run(ours("instance-list", tmp_path / "nosuch"))[0] == 100
    for name in ("create", "delete", "control", "status", "list"):
        assert run(ours(f"instance-{name}"))[0] == 100
        assert run(ours(f"instance-{name}", "-z", service, "x"))[0] == 100
    (service / "template/run").chmod(0o644)
    assert run(ours("instance-create", service, "x"))[0] == 100
    assert os.listdir(service / "instances") == []
    (service / "template/run").chmod(0o755)
    assert run(ours("svc", "-wD", "-T9000", "-d", service))[0] == 0
    assert run(ours("instance-create", service, "x"))[0] == 1
    assert os.listdir(service / "instances") == []
