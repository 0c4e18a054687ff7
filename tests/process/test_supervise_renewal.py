"""svscan executes itself anew: nothing that runs notices, nothing that was sent is lost, and what is wanted stays wanted."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from initfs.supervise import luggage
from tests.process.log_world import content, until
from tests.process.service import LISTENER, READY_ON_3
from tests.process.tree import Tree, ours

if TYPE_CHECKING:
    from pathlib import Path


def renew(tree: Tree) -> None:
    assert tree.ours("svscanctl", "--reexec", tree.scandir).returncode == 0
    tree.wait_for("renewed")


def test_pids_wishes_and_events_go_on_and_the_time_without_supervision_is_told(tree: Tree) -> None:
    tree.add("web")
    tree.add("idle", down="")
    tree.start()
    pid, svscan = tree.wait_for("up", "web")["pid"], tree.pid
    tree.settle()
    for _ in range(3):
        renew(tree)
    assert tree.happened()[-1] == "renewed"
    assert "seconds without supervision" in tree.events[-1]["reason"]
    assert (tree.pid, tree.status("web").pid) == (svscan, pid)
    assert tree.happened("web") == ["supervised", "up"]
    assert [event["seq"] for event in tree.events] == list(range(1, len(tree.events) + 1))
    tree.send("web", "d")
    assert tree.wait_for("down", "web")["reason"] == "signal TERM"
    tree.send("idle", "u")
    tree.wait_for("up", "idle")
    tree.add("late")
    tree.control("a")
    tree.wait_for("up", "late")
    assert tree.stop() == 0


def test_letters_and_signals_that_come_meanwhile_are_acted_on_afterwards(tree: Tree) -> None:
    tree.add("web")
    tree.start()
    tree.wait_for("up", "web")
    tree.settle()
    os.kill(tree.pid, signal.SIGSTOP)  # so that all that follows is there when it begins anew
    tree.control("x")
    tree.send("web", "d")
    os.kill(tree.pid, signal.SIGTERM)
    os.kill(tree.pid, signal.SIGCONT)
    tree.wait_for("down", "web")
    assert tree.wait_end() == 0


def test_a_script_in_control_and_the_letters_behind_it_survive(tree: Tree) -> None:
    service = tree.add("web")
    (service / "control").mkdir()
    (service / "control/t").write_text(
        "#!/bin/sh\n[ ! -e go ] || { echo began >$EAR; read -r go <go; rm go control/t; }\n"
    )
    (service / "control/t").chmod(0o755)
    os.mkfifo(service / "go")
    tree.start()
    tree.wait_for("up", "web")
    tree.settle()
    tree.send("web", "tk")
    assert tree.ear.line() == "began"
    renew(tree)
    assert tree.happened("web") == ["supervised", "up"]
    (service / "go").write_text("go\n")
    assert tree.wait_for("down", "web")["reason"] == "signal KILL", "the script has taken the place of TERM"
    tree.wait_for("up", "web")
    assert tree.stop() == 0


def test_readiness_that_comes_late_is_heard(tree: Tree) -> None:
    service = tree.add("web", f"read -r go <go; {READY_ON_3}", notification_fd="3\n")
    os.mkfifo(service / "go")
    tree.start()
    tree.wait_for("up", "web")
    renew(tree)
    (service / "go").write_text("go\n")
    tree.wait_for("ready", "web")
    assert tree.stop() == 0


def test_a_deadline_comes_when_it_was_due(tree: Tree) -> None:
    tree.add("web", LISTENER, timeout_kill="2000\n")
    tree.start()
    assert tree.ear.line() == "up"
    tree.send("web", "d")
    assert {tree.ear.line(), tree.ear.line()} == {"SIGTERM", "SIGCONT"}
    renew(tree)
    assert tree.wait_for("down", "web")["reason"] == "signal KILL"
    assert tree.stop() == 0


def test_a_finish_that_runs_is_followed_by_the_next_run(tree: Tree) -> None:
    service = tree.add(
        "web",
        "echo run >$EAR; exec sleep 999",
        finish="[ ! -e go ] || { echo finish >$EAR; read -r go <go; rm go; }",
        timeout_finish="0\n",
    )
    os.mkfifo(service / "go")
    tree.start()
    assert tree.ear.line() == "run"
    tree.send("web", "k")
    assert tree.ear.line() == "finish"
    renew(tree)
    (service / "go").write_text("go\n")
    assert tree.ear.line() == "run"
    assert tree.stop() == 0


def test_logs_are_whole_with_loggers_of_their_own_and_with_a_shared_one(tree: Tree) -> None:
    # QUA-244 (partly)
    count = 200_000
    command = " ".join(ours("svlog-shared", "-d3", "-D", tree.base / "log", "../.svscan/logs"))
    tree.add("svscan-logger", f"exec {command}", notification_fd="3\n")
    tree.add("many", f"seq 1 {count}; exec sleep 999", log="n1000 s100000\n")
    own = tree.add("own", f"seq 1 {count}; exec sleep 999")
    (own / "log").mkdir()
    (own / "log/run").write_text(f"#!/bin/sh\nexec cat >>{tree.base}/own\n")
    (own / "log/run").chmod(0o755)
    tree.start()
    logger = tree.wait_for("ready", "svscan-logger")["pid"]
    for _ in range(5):
        renew(tree)
    expected = b"".join(b"%d\n" % number for number in range(1, count + 1))
    until(lambda: content(tree.base / "log/many").endswith(b"%d\n" % count))
    until(lambda: (tree.base / "own").read_bytes().endswith(b"\n%d\n" % count))
    assert content(tree.base / "log/many") == expected
    assert (tree.base / "own").read_bytes() == expected
    assert tree.status("svscan-logger").pid == logger
    os.kill(logger, signal.SIGKILL)
    tree.wait_for("ready", "svscan-logger")
    tree.add("late", "echo late; exec sleep 999", log="n1000 s100000\n")
    tree.control("a")
    until(lambda: content(tree.base / "log/late") == b"late\n")
    assert tree.stop() == 0
    assert "bug" not in tree.said


def test_what_a_service_keeps_is_still_there_for_its_next_life(tree: Tree) -> None:
    keeper = tree.base / "keep.py"
    keeper.write_text(
        "import os, socket\n"
        "ours, theirs = socket.socket(fileno=5), socket.socket(fileno=6)\n"
        "ours.setblocking(False)\n"
        "try: found = ours.recv(99).decode()\n"
        "except BlockingIOError: found = 'nothing'\n"
        "theirs.send(b'treasure')\n"
        "print(found, file=open(os.environ['EAR'], 'w'), flush=True)\n"
        "import time; time.sleep(999)\n"
    )
    tree.add("web", f"exec {sys.executable} {keeper}", keep_fd="5\n")
    tree.start()
    assert tree.ear.line() == "nothing"
    renew(tree)
    tree.send("web", "k")
    assert tree.ear.line() == "treasure"
    assert tree.stop() == 0


def test_many_services_come_along_in_a_moment(tree: Tree) -> None:
    names = [f"s{number:03}" for number in range(150)]
    for name in names:
        tree.add(name, down="")
    tree.start()
    tree.wait_for("tree")
    tree.settle()
    renew(tree)
    print(tree.events[-1]["reason"])
    assert float(tree.events[-1]["reason"].split()[2]) < 5.0
    tree.send(names[-1], "u")
    tree.wait_for("up", names[-1])
    assert tree.stop() == 0


def test_an_unreadable_luggage_is_no_reason_to_restart_anything(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        spoilt = tmp_path / "sitecustomize.py"
        spoilt.write_text(
            "import os\nif os.environ.get('INITFS_LUGGAGE', 'lost') != 'lost':\n"
            "    from initfs.supervise import luggage\n    luggage.VERSION += 1\n"
        )
        tree.environment["PYTHONPATH"] += f":{tmp_path}"
        tree.add("web")
        tree.start()
        up = tree.wait_for("up", "web")
        tree.settle()
        tree.control("x")
        wrong = f"version {luggage.VERSION}, not {luggage.VERSION + 1}"
        tree.wait_said(f"unable to take over from ourselves: Unreadable: {wrong}")
        until((tree.scandir / ".svscan/events").exists)
        tree._others.add(up["pid"])
        until(lambda: tree.status("web").pid == up["pid"] and not tree.ours("svok", "web").returncode)
        tree.send("web", "d")
        until(lambda: not tree.status("web").pid)
        assert tree.stop() == 0
