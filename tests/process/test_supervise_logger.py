"""Services and their loggers: the held pipe loses nothing, whoever dies, and the end is complete."""

from __future__ import annotations

import os

import pytest

from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree

APPEND = "exec cat >>../../../log.txt"
COUNT = 100_000


def logged(tree: Tree) -> list[str]:
    return (tree.base / "log.txt").read_text().splitlines()


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def test_no_line_is_missing_when_loggers_die_under_load(tree: Tree) -> None:
    # SUP-014 SUP-012 (partly)
    # This logger takes one line and is killed: every line but the first is read by a successor.
    tree.add("a", f"seq 1 {COUNT // 100}; exec sleep 999")
    tree.add("a/log", 'read -r line && echo "$line" >>../../../log.txt; echo took $$ >$EAR; exec sleep 999')
    tree.start()
    for _ in range(3):
        pid = tree.wait_for("up", "a/log")["pid"]
        assert tree.ear.line() == f"took {pid}"
        tree.send("a/log", "k")
        tree.wait_for("down", "a/log")
        assert not alive(pid)
        tree.send("a/log", "u")
    pid = tree.wait_for("up", "a/log")["pid"]
    assert tree.ear.line() == f"took {pid}"
    (tree.scandir / "a/log/run").write_text(f"#!/bin/sh\n{APPEND}\n")
    tree.send("a/log", "k")
    tree.wait_for("up", "a/log")
    assert tree.stop() == 0
    assert sorted(map(int, logged(tree))) == list(range(1, COUNT // 100 + 1))


# Reading a block and writing it are one step here, so that a kill between lines loses nothing in the logger itself.
COPY = """
import os, select, signal
told, tell = os.pipe()
os.set_blocking(tell, False)
signal.set_wakeup_fd(tell)
signal.signal(signal.SIGTERM, lambda *_: None)
while told not in select.select([0, told], [], [])[0] and (block := os.read(0, 4096)):
    os.write(1, block)
"""


def test_a_logger_killed_again_and_again_under_load_loses_no_line_that_it_had_not_read(tree: Tree) -> None:
    # SUP-014
    (tree.base / "copy.py").write_text(COPY)
    tree.add("a", f"seq 1 {COUNT}; echo done >$EAR; exec sleep 999")
    tree.add("a/log", "exec python3 -I -S ../../../copy.py >>../../../log.txt")
    tree.start()
    for _ in range(5):
        tree.wait_for("up", "a/log")
        tree.send("a/log", "t")
        tree.wait_for("down", "a/log")
    assert tree.ear.line() == "done"
    assert tree.stop() == 0
    assert logged(tree) == numbers(COUNT)


def test_a_service_that_is_restarted_goes_on_in_the_same_log(tree: Tree) -> None:
    # SUP-014
    tree.add("a", "echo $$; exec sleep 999")
    tree.add("a/log", 'while read -r line; do echo "got $line" >$EAR; done')
    tree.start()
    logger = tree.wait_for("up", "a/log")["pid"]
    for _ in range(3):
        pid = tree.wait_for("up", "a")["pid"]
        assert tree.ear.line() == f"got {pid}"
        tree.send("a", "k")
        tree.wait_for("down", "a")
        tree.send("a", "u")
    assert alive(logger)


def test_a_service_of_100000_lines_is_logged_to_the_last_when_the_tree_ends(tree: Tree) -> None:
    # SUP-017
    (tree.base / "last.py").write_text(
        "import os,signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
        "open(os.environ['EAR'], 'w').write('up\\n')\n"
        "signal.sigwait([15])\n"
        f"for number in range(1, {COUNT} + 1): print(number)\n"
    )
    tree.add("a", "exec python3 -I -S ../../last.py")
    tree.add("a/log", APPEND)
    tree.start()
    assert tree.ear.line() == "up"
    assert tree.stop() == 0
    assert logged(tree) == numbers(COUNT)


@pytest.mark.parametrize("end", ["t", "i"])
def test_terminate_sends_term_to_services_and_only_the_end_of_file_to_loggers(end: str, tree: Tree) -> None:
    # SUP-016 (partly) SUP-017 (partly)
    tree.add("a")
    tree.add("a/log", 'trap "echo TERM >$EAR" TERM; while read -r line; do :; done; echo EOF >$EAR')
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("up", "a/log")
    assert tree.stop(end) == 0
    assert tree.ear.line() == "EOF"
    assert tree.ear.lines() == []
    ends = {event["service"]: event["reason"] for event in tree.events if event["event"] == "down"}
    assert ends == {"a": "signal TERM", "a/log": "exit 0"}


def test_quit_ends_a_logger_that_ignores_the_end_of_file(tree: Tree) -> None:
    # SUP-018 SUP-016 (partly)
    tree.add("a")
    tree.add("a/log")
    tree.start()
    tree.wait_for("up", "a/log")
    assert tree.ours("svscanctl", "-q", tree.scandir).returncode == 0
    assert tree.wait_end() == 0


def test_a_stuck_logger_that_terminate_waits_for_is_ended_by_quit(tree: Tree) -> None:
    # SUP-018
    tree.add("a")
    tree.add("a/log")
    tree.start()
    logger = tree.wait_for("up", "a/log")["pid"]
    tree.control("t")
    tree.wait_for("released", "a")
    assert alive(logger)
    assert tree.stop("q") == 0


def test_a_logger_stays_up_when_its_service_goes_down(tree: Tree) -> None:
    # SUP-077
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a/log")
    tree.settle()
    assert tree.ours("svc", "-wD", "-d", tree.scandir / "a").returncode == 0
    found = tree.ours("svstat", "-u", "a", "a/log").stdout
    assert found == "a: false\na/log: true\n"


def test_a_service_that_was_told_to_exit_comes_back_and_is_logged_again(tree: Tree) -> None:
    # SUP-012 SUP-053 (partly)
    tree.add("a", "echo $$; exec sleep 999")
    tree.add("a/log", 'while read -r line; do echo "got $line" >$EAR; done')
    tree.start()
    for _ in range(2):
        pid = tree.wait_for("up", "a")["pid"]
        assert tree.ear.line() == f"got {pid}"
        tree.send("a", "xd")
        tree.wait_for("released", "a")


def test_a_logger_that_was_told_to_exit_comes_back_and_loses_nothing(tree: Tree) -> None:
    # SUP-012 SUP-014
    tree.add("a", 'exec 4<../../lines; while read -r line <&4; do echo "$line"; done; exec sleep 999')
    tree.add("a/log", 'while read -r line; do echo "got $line" >$EAR; done')
    os.mkfifo(tree.base / "lines")
    tree.start()
    tree.wait_for("up", "a/log")
    with (tree.base / "lines").open("w") as lines:
        print("1", file=lines, flush=True)
        assert tree.ear.line() == "got 1"
        tree.send("a/log", "xd")
        tree.wait_for("released", "a/log")
        print("2", file=lines, flush=True)
        tree.wait_for("up", "a/log")
        print("3", file=lines, flush=True)
        assert [tree.ear.line(), tree.ear.line()] == ["got 2", "got 3"]
