"""A svscan that was killed, and the next one: nothing that ran is restarted, no line between service and logger is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from initfs.supervise import adoption
from initfs.supervise.status import DOWN, FINISH, RUN, Status
from tests.namespace.machine import wait_until
from tests.process.tree import Tree
from tests.process.waiting import alive, children, wait_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTER = "i=0; while echo $i; do i=$((i+1)); [ $((i % 500)) = 0 ] && read -r line <>../../never; done"
LOGGER = "exec cat >>../../../log"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        os.mkfifo(tmp_path / "never")
        yield tree


def kill(tree: Tree) -> None:
    """What no program survives."""
    assert tree.process is not None
    tree.process.kill()
    tree.process.wait()


def test_a_new_svscan_goes_on_with_what_a_killed_one_left(tree: Tree) -> None:
    # SUP-012
    tree.add("web")
    tree.add("idle", down="")
    pid = tree.start().wait_for("up", "web")["pid"]
    tree.wait_furnished("web")
    kill(tree)
    again = tree.start().wait_for("up", "web")
    assert (again["pid"], again["reason"]) == (pid, "adopted")
    tree.wait_furnished("idle")
    assert tree.ours("svstat", "-o", "up,pid", "web").stdout == f"true {pid}\n"
    assert tree.ours("svstat", "-u", "idle").stdout == "false\n"


def test_what_was_adopted_is_restarted_when_it_dies_and_goes_down_when_told(tree: Tree) -> None:
    tree.add("web")
    pid = tree.start().wait_for("up", "web")["pid"]
    tree.wait_furnished("web")
    kill(tree)
    tree.start().wait_for("up", "web")
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("down", "web")
    assert tree.wait_for("up", "web")["pid"] != pid
    tree.send("web", "d")
    tree.wait_for("finished", "web")
    tree.settle()
    assert not tree.status("web").pid


def test_no_line_between_service_and_logger_is_lost_or_doubled_when_svscan_is_killed(tree: Tree) -> None:
    # SUP-014
    tree.add("talk", COUNTER)
    tree.add("talk/log", LOGGER)
    tree.start().wait_for("up", "talk/log")
    pids = [tree.wait_for("up", "talk")["pid"]]
    tree.wait_furnished("talk")
    for _ in range(5):
        kill(tree)
        tree.start()
        pids.append(tree.wait_for("up", "talk")["pid"])
        tree.wait_furnished("talk/log")
        tree.ours("svc", "-wr", "-k", "talk/log")  # the logger's successor reads on where it stopped
        with (tree.base / "never").open("w") as gate:
            gate.write("go on\n")
    tree.stop()
    assert len(set(pids)) == 1
    lines = (tree.base / "log").read_text().splitlines()
    assert lines == [str(number) for number in range(len(lines))]
    assert len(lines) > 500


def test_a_finish_that_was_left_is_waited_for_and_no_second_run_is_started_beside_it(tree: Tree) -> None:
    # SUP-012 SUP-013
    tree.add("web", "exit 3", finish="[ -e ../../open ] || exec cat ../../never", timeout_finish="0")
    tree.start().wait_for("down", "web")
    tree.settle()
    (finish,) = children(tree.pid)
    kill(tree)
    tree.start()
    tree.settle()
    seen = tree.status("web")
    assert (seen.state, seen.pid, seen.wait_status) == (FINISH, finish, 3 << 8)
    wait_until(lambda: not children(tree.pid), "no child of web: a second run's finish would stay")
    (tree.base / "open").touch()
    (tree.base / "never").write_text("")
    tree.wait_for("finished", "web")
    tree.wait_for("up", "web")


def test_readiness_that_comes_after_the_kill_is_heard_by_the_next_svscan(tree: Tree) -> None:
    tree.add("web", "read -r line <>../../never; echo >&3; exec sleep 999 3>&-", notification_fd="3\n")
    tree.start().wait_for("up", "web")
    tree.wait_furnished("web")
    kill(tree)
    tree.start().wait_for("up", "web")
    tree.wait_furnished("web")
    with (tree.base / "never").open("w") as gate:
        gate.write("go on\n")
    tree.wait_for("ready", "web")


def test_a_pid_that_is_another_process_now_is_not_adopted(tree: Tree) -> None:
    tree.add("web")
    first = tree.start().wait_for("up", "web")["pid"]
    tree.wait_furnished("web")
    kill(tree)
    os.kill(first, signal.SIGKILL)
    wait_dead(first)
    path = tree.scandir / "web/supervise/status"
    data = bytearray(path.read_bytes())
    data[12:16] = os.getpid().to_bytes(4, "little")  # a living process, but not the one that was started then
    path.write_bytes(bytes(data))
    again = tree.start().wait_for("up", "web")
    assert again["reason"] == ""
    assert again["pid"] not in (first, os.getpid())


def test_what_was_to_be_down_stays_wanted_down_when_it_is_adopted(tree: Tree) -> None:
    tree.add("web", "trap '' TERM; echo up >$EAR; while :; do read -r line <>../../never; done")
    pid = tree.start().wait_for("up", "web")["pid"]
    assert tree.ear.line() == "up"
    tree.send("web", "d")
    tree.settle()
    kill(tree)
    assert alive(pid)
    tree.start().wait_for("up", "web")
    tree.send("web", "k")
    tree.wait_for("finished", "web")
    tree.settle()
    assert tree.happened("web")[-1] == "finished"


def test_only_a_run_that_is_told_to_live_is_taken_for_alive() -> None:
    def status(state: int, pid: int, since: int) -> Status:
        return Status(state, pid, True, False, False, False, True, 0, 0, since)

    ticks = adoption.start_ticks(Path("/proc/self/stat").read_bytes())
    started = ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")
    assert adoption.lives(status(RUN, os.getpid(), started))
    assert not adoption.lives(status(DOWN, os.getpid(), started))
    assert not adoption.lives(status(RUN, os.getpid(), started + 60_000_000))
    assert not adoption.lives(status(RUN, 1, started))
    assert not adoption.lives(status(RUN, 0, started))
    assert not adoption.lives(None)
