"""What one board is enough for: a person at the console, little memory, and images that are broken."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

from board import model
from board.host import ROOT
from qemu.errors import TroubleError
from qemu.vm import Machine
from tests.vm.broken import replaced
from tests.vm.conftest import BOOT, booted, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOARD = "qemu-arm64"
LIMIT = 60.0
MEMORY = 96  # MiB
pytestmark = pytest.mark.xdist_group(BOARD)


@pytest.fixture(scope="module")
def board() -> str:
    return BOARD


@pytest.fixture
def small() -> Iterator[Machine]:
    image = image_of(BOARD)
    with Machine(BOARD, image, memory=MEMORY) as machine:
        booted(machine, image)
        yield machine


def test_somebody_logs_in_on_the_console_runs_a_command_and_leaves(vm: Machine) -> None:
    vm.wait_console(r"login: $", timeout=LIMIT)
    vm.type("root\n")
    vm.wait_console(r"# ", timeout=LIMIT)
    mark, seen = vm.mark(), len(vm.console)

    vm.type("echo $((6 * 7)) on $(hostname)\n")
    vm.wait_console(r"\n42 on \S+\n", timeout=LIMIT, after=seen)
    seen = len(vm.console)
    vm.type("exit\n")

    vm.wait_for("down", service="getty", after=mark, timeout=LIMIT)
    vm.wait_for("ready", service="getty", after=mark, timeout=LIMIT)
    vm.wait_console(r"login: $", timeout=LIMIT, after=seen)


def test_little_memory_is_enough(small: Machine) -> None:
    small.wait_for("ready", service="dhcp_eth0", timeout=LIMIT)
    total = int(small.run("cat /proc/meminfo", timeout=LIMIT).stdout.split()[1])

    assert total < MEMORY * 1024
    assert "/dev/zram0" in small.run("cat /proc/swaps", timeout=LIMIT).stdout


def test_a_kernel_panic_fails_the_run() -> None:
    image = image_of(BOARD)
    with pytest.raises(TroubleError, match="kernel panic"), Machine(BOARD, image) as vm:  # noqa: PT012 -- the end may be either
        booted(vm, image)
        vm.run("echo c >/proc/sysrq-trigger", timeout=LIMIT)


def test_without_python_a_shell_is_left_on_the_console(tmp_path: Path) -> None:
    image = replaced(image_of(BOARD), {"/usr/bin/python3": "/nowhere"}, tmp_path)

    with Machine(BOARD, image) as vm:
        vm.wait_console(r"# ", timeout=BOOT)
        vm.type("echo $((6 * 7))\n")
        vm.wait_console(r"\n42\n", timeout=LIMIT)


def inv(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_on_a_terminal_the_console_is_ours_and_ctrl_a_x_ends_qemu() -> None:
    child = pexpect.spawn(sys.executable, ["-m", "invoke", "boot", "--board", BOARD], cwd=ROOT, timeout=BOOT)
    try:
        child.expect("login: ")
        child.sendline("root")
        child.expect("# ")
        child.sendline("echo $((6 * 7))")
        child.expect(r"\n42\r")
        child.send("\x01x")
        child.expect(pexpect.EOF)
        child.wait()
    finally:
        child.close(force=True)

    assert child.exitstatus == 0


def test_the_status_of_a_command_is_that_of_inv_boot(tmp_path: Path) -> None:
    done = inv("boot", "--board", BOARD, "--events", str(tmp_path / "events"), "--run", "echo said; exit 7")

    assert (done.returncode, done.stdout) == (7, "said\n")
    assert '"booted"' in (tmp_path / "events").read_text()


def test_a_board_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    done = inv("boot", "--board", "toaster", "--run", "true")

    assert done.returncode == 100
    assert BOARD in done.stderr


def test_without_a_terminal_and_without_a_command_there_is_nothing_to_boot_for() -> None:
    done = inv("boot")

    assert done.returncode == 100
    assert "--run" in done.stderr


def test_a_boot_that_takes_too_long_is_a_failure_of_ours() -> None:
    image_of(BOARD)
    done = inv("boot", "--board", BOARD, "--timeout", "1", "--run", "true")

    assert done.returncode == 111
    assert "inv: fatal: unable to boot qemu-arm64" in done.stderr


def test_a_qemu_that_cannot_start_the_board_shows_what_it_says() -> None:
    machine = Machine(BOARD, image_of(BOARD), extra=["-device", "toaster"])

    with machine as vm, pytest.raises(Exception, match="toaster"):
        vm.wait_for("stage1", timeout=LIMIT)


def test_a_board_without_ports_boots_as_far_as_its_console() -> None:
    bare = dataclasses.replace(model.load(BOARD), ports=False)

    with Machine(bare, image_of(BOARD)) as vm:
        vm.wait_console(r"login: $", timeout=BOOT)
