"""The host's side of a machine, against a QEMU that is played by fake_qemu.py."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from board import model
from qemu.errors import EndedError, LostError, TimedOutError, TroubleError
from qemu.vm import Machine

FAKE = Path(__file__).with_name("fake_qemu.py")


@dataclass(frozen=True)
class Image:
    kernel: str = "/none/vmlinuz"
    initramfs: str = "/none/initramfs"


@pytest.fixture
def emulator(tmp_path: Path) -> str:
    path = tmp_path / "emulator"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    path.chmod(0o755)
    return str(path)


def fake(emulator: str, mood: str = "well") -> Machine:
    board = model.load("qemu-arm64")
    return Machine(
        dataclasses.replace(board, qemu=dataclasses.replace(board.qemu, emulator=emulator)),
        Image(),
        append=mood,
    )


def test_a_machine_boots_runs_a_command_and_is_ended(emulator: str) -> None:
    with fake(emulator) as vm:
        vm.wait_booted(["getty_x"], timeout=20)
        result = vm.run("echo said; exit 7", timeout=20)
        process = vm.session.process

    assert (result.returncode, result.stdout) == (7, "said\n")
    assert process
    assert process.poll() == 0, "QMP's quit was enough"
    assert not os.path.exists(vm.folder)


def test_an_event_that_was_before_the_wait_is_found(emulator: str) -> None:
    with fake(emulator) as vm:
        vm.wait_for("booted", timeout=20)
        assert vm.wait_for("ready", service="getty", timeout=20).service == "getty_x"
        assert vm.mark() == 7


def test_output_is_given_out_as_it_comes(emulator: str) -> None:
    heard: list[tuple[str, bytes]] = []
    with fake(emulator) as vm:
        vm.run(["echo", "a"], timeout=20, sink=lambda stream, data: heard.append((stream, data)))

    assert heard == [("stdout", b"a\n"), ("stdout", b""), ("stderr", b"")]


def test_a_guest_that_powers_off_says_why_qemu_ended(emulator: str) -> None:
    with fake(emulator) as vm:
        vm.begin("poweroff")
        assert vm.wait_stopped(timeout=20) == "guest-shutdown"
        assert vm.wait_for("ending", timeout=1)


def test_a_wait_that_is_over_shows_events_and_console(emulator: str) -> None:
    with fake(emulator) as vm:
        vm.wait_for("booted", timeout=20)
        with pytest.raises(TimedOutError, match=r"(?s)wait for never: not within 0.1 s.*booted.*booting"):
            vm.wait_for("never", timeout=0.1)


def test_a_boot_that_is_not_over_in_time_names_the_services_that_are_missing(emulator: str) -> None:
    with fake(emulator) as vm, pytest.raises(TimedOutError, match="not ready: web"):
        vm.wait_booted(["getty_x", "web"], timeout=0.5)


def test_a_panic_fails_the_wait_at_once(emulator: str) -> None:
    with pytest.raises(TroubleError, match="wait for never: kernel panic"), fake(emulator, "panic") as vm:
        vm.wait_for("never", timeout=60)


def test_a_panic_that_nobody_waited_for_fails_the_run_at_its_end(emulator: str) -> None:
    seen = False
    with pytest.raises(TroubleError, match="at the end: kernel panic"), fake(emulator, "panic") as vm:  # noqa: PT012
        while "panic" not in vm.console:
            vm.await_(vm.session.news.wait())
        seen = True

    assert seen


def test_the_death_of_qemu_is_noticed_at_once_and_its_complaint_shown(emulator: str) -> None:
    with (
        fake(emulator, "die") as vm,
        pytest.raises(EndedError, match=r"(?s)QEMU has ended.*fake: it is broken"),
    ):
        vm.wait_for("never", timeout=60)


def test_a_command_whose_machine_ends_is_lost(emulator: str) -> None:
    with fake(emulator) as vm, pytest.raises((EndedError, LostError)):
        vm.run("poweroff", timeout=60)


def test_a_qemu_that_does_not_exist_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(EndedError, match="nowhere"), fake(str(tmp_path / "nowhere")) as vm:
        vm.wait_for("booted", timeout=20)


@pytest.mark.slow
def test_a_qemu_that_hears_nothing_is_killed(emulator: str) -> None:
    with fake(emulator, "deaf") as vm:
        vm.wait_for("booted", timeout=20)
        process = vm.session.process

    assert process
    assert process.poll() == -9
