"""daemontools' svc, svstat and svok against our tree (Debian package daemontools)."""

from __future__ import annotations

import os
import re
import shutil
import time

import pytest

from tests.process.service import LISTENER
from tests.process.waiting import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("svc", "svstat", "svok"))), reason="daemontools is not installed"
)


def test_svok_tells_by_its_exit_code(tree: Tree) -> None:
    # RUN-086
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert tree.client("svok", "a").returncode == 0
    assert tree.client("svok", tree.base / "nowhere").returncode == 111
    assert tree.stop() == 0
    assert tree.client("svok", "a").returncode == 100


def test_svstat_follows_a_service(tree: Tree) -> None:
    # SUP-062 (partly)
    tree.add("a", down="")
    tree.start()
    tree.wait_furnished("a")
    assert re.fullmatch(r"a: down \d+ seconds\n", tree.client("svstat", "a").stdout)
    tree.send("a", "u")
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    assert re.fullmatch(
        rf"a: up \(pid {pid}\) \d seconds, normally down\n", tree.client("svstat", "a").stdout
    )
    tree.send("a", "op")
    tree.settle()
    found = tree.client("svstat", "a").stdout
    assert re.fullmatch(rf"a: up \(pid {pid}\) \d seconds, normally down, paused, want down\n", found)
    tree.send("a", "cd")
    tree.wait_for("finished", "a")
    tree.settle()
    assert re.fullmatch(r"a: down \d seconds\n", tree.client("svstat", "a").stdout)
    assert tree.stop() == 0
    assert "supervise not running" in tree.client("svstat", "a").stdout


def test_every_letter_of_svc(tree: Tree) -> None:
    # RUN-086
    tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    for letter, name in {"h": "HUP", "a": "ALRM", "i": "INT", "t": "TERM", "c": "CONT"}.items():
        assert tree.client("svc", f"-{letter}", "a").returncode == 0
        assert tree.ear.line() == f"SIG{name}", letter
    tree.client("svc", "-p", "a")
    tree.settle()
    deadline = time.monotonic() + 10
    while " T " not in (stat := open(f"/proc/{pid}/stat").read()):  # noqa: SIM115
        assert time.monotonic() < deadline, stat
    tree.client("svc", "-c", "a")
    assert tree.ear.line() == "SIGCONT"
    tree.client("svc", "-o", "a")
    tree.settle()
    assert alive(pid)
    assert not tree.status("a").wanted
    tree.client("svc", "-u", "a")
    tree.settle()
    assert tree.status("a").wanted
    tree.client("svc", "-d", "a")
    assert [tree.ear.line(), tree.ear.line()] == ["SIGTERM", "SIGCONT"]
    tree.client("svc", "-k", "a")
    tree.wait_for("finished", "a")
    tree.client("svc", "-x", "a")
    tree.wait_for("released", "a")


def test_supervise_of_daemontools_leaves_a_service_of_ours_to_us(tree: Tree) -> None:
    # SUP-032 (partly)
    if shutil.which("supervise") is None:
        pytest.skip("supervise is not installed")
    service = tree.add("a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    found = tree.client("supervise", service)
    assert found.returncode == 111
    assert "lock" in found.stderr
    assert alive(pid)
    assert os.path.exists(service / "supervise/status")
