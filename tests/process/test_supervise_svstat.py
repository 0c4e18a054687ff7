"""svstat and svok of a running tree: every field, in words and as JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import time

from initfs import tai
from tests.process.service import READY_ON_3
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree


# svstat and svok ------------------------------------------------------------------------------------

ALL = "up,wantedup,normallyup,ready,paused,pid,pgid,exitcode,signal,signum,updownfor,readyfor"


def stat(tree: Tree, fields: str = ALL) -> list[str]:
    found = tree.ours("svstat", "-o", fields, "a")
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.split()


def test_svstat_fields_follow_the_life_of_a_service(tree: Tree) -> None:
    # SUP-062
    service = tree.add("a", "exec sleep 999", notification_fd="3\n", down="")
    tree.start()
    tree.wait_furnished("a")
    assert stat(tree) == ["false", "false", "false", "true", "false", "-1", "-1", "-1", "NA", "-1", "0", "0"]
    tree.send("a", "u")
    pid = str(tree.wait_for("up", "a")["pid"])
    tree.settle()
    assert stat(tree) == ["true", "true", "false", "false", "false", pid, pid, "-1", "NA", "-1", "0", "0"]
    (service / "down").unlink()
    tree.send("a", "p")
    tree.settle()
    assert stat(tree, "normallyup,paused") == ["true", "true"]
    tree.send("a", "ck")
    tree.wait_for("finished", "a")
    tree.send("a", "d")
    tree.settle()
    assert stat(tree, "up,ready,pid,exitcode,signal,signum") == ["false", "true", "-1", "-1", "SIGKILL", "9"]


def test_svstat_during_finish_says_neither_up_nor_ready(tree: Tree) -> None:
    # SUP-062
    tree.add("a", "exit 5", finish="exec sleep 999", timeout_finish="0")
    tree.start()
    tree.wait_for("down", "a")
    tree.settle()
    finish = tree.status("a").pid
    assert stat(tree, "up,ready,exitcode,signal") == ["false", "false", "5", "NA"]
    assert f"down (exitcode 5) 0 seconds, finishing (pid {finish})" in tree.ours("svstat", "a").stdout
    os.kill(finish, signal.SIGKILL)


def test_svstat_names_the_process_group_of_the_last_instance(tree: Tree) -> None:
    tree.add("a", "exit 0")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    tree.settle()
    assert stat(tree, "pgid") == [str(pid)]


def test_svstat_flags_are_fields_in_order(tree: Tree) -> None:
    # SUP-062
    tree.add("a")
    tree.start()
    pid = str(tree.wait_for("up", "a")["pid"])
    tree.settle()
    found = tree.ours("svstat", "-uwNrpgest", "a").stdout.split()
    assert found[:-1] == ["true", "true", "true", "false", pid, pid, "-1", "NA"]
    assert int(found[-1]) < 5
    assert tree.ours("svstat", "-pu", "a").stdout.split() == [pid, "true"]
    since, ready = (tai.parse(word) for word in stat(tree, "updownsince,readysince"))
    assert abs(time.time_ns() - since) < 5e9
    assert ready
    for wrong in (["-o", "nonsense"], ["-o", ",".join(["up"] * 17)], ["-Z"], []):
        assert tree.ours("svstat", *wrong, *(["a"] if wrong else [])).returncode == 100
    assert tree.ours("svstat", "-o", ",".join(["up"] * 16), "a").stdout.split() == ["true"] * 16


def test_svstat_in_words_and_as_json(tree: Tree) -> None:
    # SUP-062
    tree.add("a", READY_ON_3, notification_fd="3\n")
    tree.start()
    tree.wait_for("ready", "a")
    tree.settle()
    pid = tree.status("a").pid
    line = tree.ours("svstat", "a").stdout
    assert re.fullmatch(rf"up \(pid {pid} pgid {pid}\) \d seconds, ready \d seconds\n", line)
    found = json.loads(tree.ours("svstat", "--json", "a").stdout)
    assert (found["state"], found["pid"], found["ready"], found["exit_code"]) == ("up", pid, True, None)
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    tree.settle()
    line = tree.ours("svstat", "a").stdout
    assert re.fullmatch(r"down \(signal SIGTERM\) \d seconds, normally up\n", line)
    assert "down (signal 15) " in tree.ours("svstat", "-n", "a").stdout
    found = json.loads(tree.ours("svstat", "--json", "a").stdout)
    assert (found["state"], found["pid"], found["signal"], found["wanted_up"]) == ("down", 0, "TERM", False)


def test_svstat_of_several_names_each_and_goes_on_after_an_error(tree: Tree) -> None:
    # SUP-062 (partly)
    tree.add("a")
    tree.add("b")
    tree.start()
    tree.wait_for("up", "b")
    tree.settle()
    found = tree.ours("svstat", "-u", "a", "none", "b")
    assert (found.returncode, found.stdout) in [(1, "a: true\nb: true\n"), (111, "a: true\nb: true\n")]


def test_svok_answers_by_its_exit_code_alone(tree: Tree) -> None:
    # SUP-063
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    found = tree.ours("svok", "a")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert tree.ours("svok").returncode == 100
    assert tree.ours("svok", "a", "b").returncode == 100
    (tree.base / "plain").mkdir()
    found = tree.ours("svok", tree.base / "plain")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
    assert tree.ours("svok", tree.base / "nowhere").returncode == 111
    assert tree.stop() == 0
    found = tree.ours("svok", "a")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
    found = tree.ours("svstat", "a")
    assert (found.returncode, found.stdout) == (1, "")


def test_clients_of_a_tree_that_was_killed_find_nobody(tree: Tree) -> None:
    # SUP-059 SUP-063
    tree.add("a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    assert tree.process is not None
    tree.process.kill()
    tree.process.wait()
    assert tree.ours("svok", "a").returncode == 1
    assert tree.ours("svc", "-u", "a").returncode == 102
    assert tree.ours("svstat", "a").returncode == 1
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
