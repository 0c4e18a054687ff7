"""Every way to end a machine ends it in order, on every board."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from qemu.vm import Machine
from tests.vm.conftest import booted, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qemu.events import Event

LIMIT = 120.0  # seconds for what takes three
HALT_IS_OFF = {"qemu-riscv64"}  # the kernel's machine_halt calls the firmware's power-off there
NO_WORD = {"qemu-riscv64"}  # a poweroff there is exit(0) in QEMU, without a QMP event


@contextmanager
def up(board: str) -> Iterator[Machine]:
    image = image_of(board)
    with Machine(board, image) as machine:
        booted(machine, image)
        yield machine


def ended_in_order(vm: Machine, reason: str) -> None:
    """Check that the services were stopped before the end."""
    vm.wait_for("ending", timeout=LIMIT)
    told = vm.events
    names = [event.event for event in told]
    begin, left = names.index("stopping"), names.index("stage3")
    up = {event.service for event in told[:begin] if event.event == "up"}
    down = {event.service for event in told[begin:left] if event.event == "down"}

    assert told[begin].reason == reason
    assert begin < left < names.index("ending")
    # the catch-all logger reads for as long as a stray has something to say: it may end with those
    assert {name for name in up if "/" not in name} - {"svscan-log"} <= down | released(told[:begin])
    assert [event.seq for event in told] == list(range(1, len(told) + 1))


def released(told: list[Event]) -> set[str]:
    """The services that were not up any more: their last event is a `down` or what follows it."""
    last = {event.service: event.event for event in told if event.service}
    return {name for name, event in last.items() if event in {"down", "finished", "released", "failed"}}


@pytest.mark.parametrize(
    ("command", "reason", "word"),
    [
        pytest.param("poweroff", "poweroff", "guest-shutdown", id="poweroff"),
        pytest.param("reboot", "reboot", "guest-reset", id="reboot"),
    ],
)
def test_poweroff_and_reboot_stop_the_services_and_end_the_machine(
    board: str, command: str, reason: str, word: str
) -> None:
    with up(board) as vm:
        vm.begin(command)

        ended_in_order(vm, reason)
        assert vm.wait_stopped(timeout=LIMIT) == ("" if board in NO_WORD and reason == "poweroff" else word)


def test_halt_stops_the_services_and_leaves_the_machine_on(board: str) -> None:
    with up(board) as vm:
        vm.begin("halt")

        ended_in_order(vm, "halt")
        vm.wait_console("System halted", timeout=LIMIT)
        if board in HALT_IS_OFF:
            vm.wait_stopped(timeout=LIMIT)
        else:
            assert vm.qmp("query-status")["status"] == "running"


def test_ctrl_alt_del_is_a_reboot(board: str) -> None:
    with up(board) as vm:
        if vm.board.architecture == "amd64":
            keys = [{"type": "qcode", "data": name} for name in ("ctrl", "alt", "delete")]
            vm.qmp("send-key", keys=keys)
        else:  # no keyboard; the kernel tells process 1 with this signal
            vm.begin("kill -INT 1")

        ended_in_order(vm, "reboot")
        assert vm.wait_stopped(timeout=LIMIT) == "guest-reset"
