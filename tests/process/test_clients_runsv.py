"""Our programs and a real runsv, each on what the other supervises (Debian package runit)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest

from tests.process.service import SLEEP, make_service
from tests.process.waiting import alive, needs, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.process.tree import Tree

    Done = subprocess.CompletedProcess[str]


def until(tree: Tree, service: Path, fields: str, wanted: str) -> None:
    deadline = time.monotonic() + 10
    while (found := tree.ours("svstat", "-o", fields, service).stdout.strip()) != wanted:
        assert time.monotonic() < deadline, found


@pytest.fixture
def runsv(tree: Tree) -> Iterator[tuple[Tree, Path]]:
    needs("runsv")
    service = make_service(tree.base / "theirs", SLEEP)
    program = subprocess.Popen(["runsv", service], env=tree.environment, stderr=subprocess.PIPE)
    try:
        wait_exists(service / "supervise/ok")
        wait_exists(service / "supervise/status")
        yield tree, service
    finally:
        program.terminate()
        assert program.stderr is not None
        program.stderr.close()
        program.wait(20)


def test_our_clients_work_on_a_real_runsv(runsv: tuple[Tree, Path]) -> None:
    # RUN-079 (partly) SUP-063 (partly)
    tree, service = runsv
    assert tree.ours("svok", service).returncode == 0
    until(tree, service, "up,wantedup", "true true")
    pid = int(tree.ours("svstat", "-p", service).stdout)
    assert alive(pid)
    assert re.match(rf"up \(pid {pid} pgid {pid}\) \d+ seconds", tree.ours("svstat", service).stdout)
    assert tree.ours("svc", "-p", service).returncode == 0
    until(tree, service, "paused", "true")
    assert tree.ours("svc", "-c", service).returncode == 0
    until(tree, service, "paused", "false")
    assert tree.ours("svc", "-d", service).returncode == 0
    until(tree, service, "up,wantedup,pid", "false false -1")
    assert not alive(pid)
    assert tree.ours("svc", "-o", service).returncode == 0
    until(tree, service, "up,wantedup", "true false")
    assert tree.ours("svc", "-dx", service).returncode == 0


def test_our_svscan_leaves_a_service_of_runsv_to_it(runsv: tuple[Tree, Path]) -> None:
    # SUP-032 (partly)
    tree, service = runsv
    (tree.scandir / "a").symlink_to(service)
    tree.start()
    tree.wait_said("another supervisor does")
    assert tree.ours("svok", service).returncode == 0


def test_a_real_runsv_leaves_a_service_of_ours_to_us(tree: Tree) -> None:
    # SUP-032 (partly)
    needs("runsv")
    service = tree.add("a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    assert tree.client("runsv", service).returncode == 111
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("up", "a")
