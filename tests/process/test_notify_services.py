"""Waiting and readiness with our own tree: a running svscan, real daemons of a few lines, and s6's clients beside ours."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.process.notify_world import Arrivals, end, ours, real, run, start
from tests.process.small_tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

READY = "import os,time; os.write(3, b'so far\\n'); os.close(3); time.sleep(999)"
SLEEP = "exec sleep 999"
WAIT = "-t9000"


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Iterator[Tree]:
    found = Tree(tmp_path / "scan")
    yield found
    found.end()


def python(code: str) -> str:
    return f'exec {sys.executable} -S -c "{code}"'


def test_a_life_is_told_in_order(tree: Tree) -> None:
    # NOT-147
    service = tree.add("s", python(READY), notification_fd="3\n")
    with Arrivals(service / "event") as arrivals:
        whole = start(ours("ftrig-wait", WAIT, service / "event", "x"))
        arrivals.wait()
    tree.begin()
    assert run(ours("svwait", "-U", WAIT, service))[0] == 0
    assert run(ours("svc", "-dx", service))[0] == 0
    assert end(whole) == (0, "suUdDx\n", "")


def test_a_permanent_failure_is_told_before_all_is_down(tree: Tree) -> None:
    # NOT-147 (partly) SUP-067
    service = tree.add("s", "exit 1", finish="exit 125", down="")
    tree.begin()
    code, out, _ = run(ours("ftrig-listen1", WAIT, service / "event", "D", "svc", "-u", service))
    assert (code, out) == (0, "udOD\n")
    assert run(ours("svlisten1", "-U", WAIT, service, "svc", "-u", service))[0] == 1


def test_ready_is_more_than_up(tree: Tree) -> None:
    # NOT-148
    announces = tree.add("announces", python(READY), notification_fd="3\n")
    closes = tree.add("closes", "printf almost >&3; exec 3>&-; exec sleep 999", notification_fd="3\n")
    silent = tree.add("silent", SLEEP, notification_fd="3\n")
    tree.begin()
    assert run(ours("svwait", "-U", WAIT, announces))[0] == 0
    assert run(ours("svwait", "-u", WAIT, closes, silent))[0] == 0
    assert run(ours("svwait", "-oU", "-t150", closes, silent))[0] == 99
    states = [
        run(ours("svstat", "-o", "up,ready", service))[1].strip() for service in (announces, closes, silent)
    ]
    assert states == ["true true", "true false", "true false"]


def test_every_flag_with_a_real_service(tree: Tree) -> None:
    # SUP-064 SUP-065
    service = tree.add("s", python(READY), notification_fd="3\n", down="")
    tree.begin()
    assert run(ours("svwait", "-D", service))[0] == 0
    for flag, letter in [("-U", "-u"), ("-D", "-d"), ("-u", "-u"), ("-R", "-r"), ("-r", "-r"), ("-d", "-d")]:
        assert run(ours("svlisten1", flag, WAIT, service, "svc", letter, service)) == (0, "", ""), flag
    asked = start(ours("svwait", "-u", WAIT, service))
    assert run(ours("svc", "-u", service))[0] == 0
    assert end(asked)[0] == 0


def test_two_services_at_once(tree: Tree) -> None:
    # SUP-066
    both = [tree.add(name, SLEEP, down="") for name in "ab"]
    tree.begin()
    assert run(ours("svlisten", "-u", WAIT, *both, "", "svc", "-u", *both)) == (0, "", "")
    assert run(ours("svlisten", "-oD", WAIT, *both, "", "svc", "-d", both[1])) == (0, "", "")
    assert run(ours("svwait", "-oD", *both))[0] == 0
    assert run(ours("svwait", "-D", "-t60", *both))[0] == 99


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_tree_goes_nobody_waits_on(how: signal.Signals, tree: Tree) -> None:
    """A tree that ends says so; for one that is killed the kernel does."""
    # SUP-068
    service = tree.add("s", "exec sleep 20", down="")
    tree.begin()
    assert tree.process is not None
    killer = ["kill", f"-{how.value}", str(tree.process.pid)]
    assert run(ours("svlisten1", "-u", WAIT, service, *killer))[0] == 102
    end(tree.process)
    tree.process = None


def test_a_daemon_for_notify_socket_becomes_ready(tree: Tree) -> None:
    # NOT-149
    bridge = " ".join(ours("notify-fd-from-socket", "-f"))
    service = tree.add(
        "s", f"exec {bridge} sh -c '{real('systemd-notify')} --ready; exec sleep 99'", notification_fd="3\n"
    )
    tree.begin()
    assert run(ours("svwait", "-U", WAIT, service))[0] == 0
    assert run(ours("svstat", "-o", "up,ready", service))[1] == "true true\n"


@pytest.mark.parametrize("files", [{}, {"notification_fd": "5\n"}])
def test_an_old_run_script_with_notifywhenup_becomes_ready(files: dict[str, str], tree: Tree) -> None:
    # NOT-151
    wrapper = " ".join(ours("notifywhenup"))
    service = tree.add("s", f"exec {wrapper} sh -c 'echo; exec sleep 99 >&2'", **files)
    tree.begin()
    assert run(ours("svwait", "-U", WAIT, service))[0] == 0
    assert run(ours("svstat", "-o", "up,ready", service))[1] == "true true\n"
    assert run(ours("svlisten1", "-D", WAIT, service, "svc", "-d", service))[0] == 0
    assert run(ours("svstat", "-o", "up,ready", service))[1] == "false true\n"  # down, and may be started


# s6's programs and ours on our tree.
def test_their_clients_wait_for_our_tree(tree: Tree) -> None:
    # SUP-064 SUP-065
    service = str(tree.add("s", python(READY), notification_fd="3\n"))
    tree.begin()
    assert run([real("s6-svwait"), "-U", WAIT, service])[0] == 0
    assert run([real("s6-svlisten1"), "-D", WAIT, service, real("s6-svc"), "-d", service])[0] == 0
    assert run([real("s6-svlisten1"), "-U", WAIT, service, *ours("svc", "-u", service)])[0] == 0
    assert run([real("s6-svc"), "-wD", "-T9000", "-d", service])[0] == 0
    assert run([real("s6-svc"), "-wU", "-T9000", "-u", service])[0] == 0
    assert run([real("s6-ftrig-listen1"), f"{service}/event", "d.*U", real("s6-svc"), "-r", service])[0] == 0
    assert run(ours("svlisten1", "-R", WAIT, service, real("s6-svc"), "-r", service))[0] == 0
    assert run([real("s6-svwait"), "-D", "-t60", service])[0] == 99
