"""runit's three stages: a process 1 in a pid namespace, with /etc/runit of the test's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from initfs.pid1.stages.plan import Ended, Next, follow
from tests.namespace.machine import ROOT, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
BEGIN = 'mount -t proc proc /proc; mount --bind "$1" /etc/runit; shift; exec "$@"'
CODE = "from initfs.pid1.stages import plan; plan.PAUSE = 0.2; from initfs.main import main; main(['runit'])"


@pytest.mark.parametrize(
    ("stage", "status", "asked", "then"),
    [
        (1, 0, False, Next(2)), (1, 1 << 8, False, Next(2)), (1, 100 << 8, False, Next(3)), (1, 11, False, Next(3)),
        (2, 0, False, Next(3)), (2, 1 << 8, False, Next(3)), (2, 111 << 8, False, Next(2, 5.0, kill=True)),
        (2, 9, False, Next(2, 5.0, kill=True)), (2, 15, True, Next(3)), (2, 111 << 8, True, Next(3)),
        (3, 0, False, Next(4)), (3, 9, False, Next(4)),
    ],
)  # fmt: skip
def test_what_follows_a_stage(stage: int, status: int, asked: bool, then: Next) -> None:
    # INI-218 (partly)
    assert follow(Ended(stage, status, asked)) == then


def start(path: Path, **stages: str) -> subprocess.Popen[bytes]:
    """A process 1 with these programs in its /etc/runit, which is PATH; `_1` is the first stage."""
    for name, body in stages.items():
        file = path / name.removeprefix("_")
        file.write_text(f"#!/bin/sh\necho {name} >>{path}/said\n{body}\n")
        file.chmod(0o755)
    os.makedirs("/etc/runit", exist_ok=True)
    command = [
        "unshare",
        "--fork",
        "--pid",
        "--mount",
        "--kill-child",
        "sh",
        "-c",
        BEGIN,
        "sh",
        str(path),
        sys.executable,
    ]
    return subprocess.Popen(
        [*command, "-c", CODE], env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )


def said(path: Path) -> list[str]:
    return (path / "said").read_text().split()


def test_a_stage_1_that_gives_up_leads_to_stage_3_and_to_a_halt(tmp_path: Path) -> None:
    # INI-218 (partly)
    with start(tmp_path, _1="exit 100", _2="", _3="") as program:
        assert program.wait(20) == -signal.SIGINT
    assert said(tmp_path) == ["_1", "_3"]


def test_a_stage_2_that_ends_with_111_is_run_again_and_reboot_says_which_end(tmp_path: Path) -> None:
    # INI-218 (partly)
    (tmp_path / "reboot").touch(0o700)
    twice = f"[ -e {tmp_path}/twice ] && exit 0; >{tmp_path}/twice; exit 111"
    with start(tmp_path, _1="", _2=twice, _3="") as program:
        assert program.wait(20) == -signal.SIGHUP
    assert said(tmp_path) == ["_1", "_2", "_2", "_3"]


def test_runit_init_6_reboots_and_ctrl_alt_del_runs_its_program_first(tmp_path: Path) -> None:
    # INI-218
    (tmp_path / "nosync").touch()
    with start(
        tmp_path, _1="", _2="exec sleep 100", _3="", ctrlaltdel=f"chmod 100 {tmp_path}/stopit"
    ) as program:
        wait_until(lambda: "_2" in said(tmp_path), "stage 2")
        children = f"/proc/{program.pid}/task/{program.pid}/children"
        with open(children, encoding="ascii") as file:
            one = int(file.read())
        enter = ["nsenter", "--target", str(one), "--all", "--"]
        ours = [sys.executable, "-m", "initfs.main", "runit-init"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        assert (
            subprocess.run([*enter, *ours, "7"], check=False, env=environment, capture_output=True).returncode
            == 100
        )
        (tmp_path / "stopit").touch(0o600)
        os.kill(one, signal.SIGCONT)  # stopit is not executable: no
        os.kill(one, signal.SIGINT)
        assert program.wait(20) == -signal.SIGINT
    assert said(tmp_path) == ["_1", "_2", "ctrlaltdel", "_3"]
    (tmp_path / "said").unlink()
    with start(tmp_path, _1="", _2="exec sleep 100", _3="") as program:
        wait_until(lambda: "_2" in said(tmp_path), "stage 2")
        with open(f"/proc/{program.pid}/task/{program.pid}/children", encoding="ascii") as file:
            enter[2] = file.read().strip()
        subprocess.run(
            [*enter, *ours, "6"], check=False, env=environment
        )  # it may be killed with the machine
        assert program.wait(20) == -signal.SIGHUP
