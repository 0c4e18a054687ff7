"""Example services that want a machine's own devices, with the real daemons: a mouse, a screen, a watchdog. They lie in `/data/service`,
as a copy and as links.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from board import build, model
from qemu import boot
from qemu.vm import Machine
from tests.vm.conftest import BOOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARD = "qemu-x86_64"
LIMIT = 90.0  # seconds for what takes two on a quiet host
pytestmark = pytest.mark.xdist_group("services")
PROFILE = """
description = "A machine with a mouse, a screen and a watchdog"
early = ["svscan-log", "getty_{console}"]
services = ["user-services"]
templates = ["gpm", "nmeter", "watchdog"]
programs = ["gpm:/usr/bin/mev", "gpm:/usr/sbin/gpm"]
modules = ["psmouse"]
"""
OWN = """
mkdir -p /data/service && cd /data/service
cp -r /etc/initfs/template/gpm gpm_mouse0
ln -s /etc/initfs/template/nmeter nmeter_tty8
ln -s /etc/initfs/template/watchdog watchdog
svc -u user-services
"""


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "devices.toml").write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "PROFILES", folder)
        boot.need([model.load(BOARD)])
        image = build.build(model.load(BOARD), profile="devices", output=tmp_path_factory.mktemp("image"))
    with Machine(BOARD, image, extra=["-device", "i6300esb"]) as machine:
        machine.wait_booted(["agent"], timeout=BOOT)
        output(machine, OWN)
        for name in ("gpm_mouse0", "nmeter_tty8", "watchdog"):
            machine.wait_for("up", service=name, timeout=LIMIT)
        yield machine


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=LIMIT)
    assert result.returncode == 0, result
    return result.stdout


def test_gpm_waits_for_the_mouse_of_its_name_and_tells_who_asks_where_it_was_clicked(vm: Machine) -> None:
    # VAR-222 (partly) VAR-238 (partly)
    runs = "tr '\\0' ' ' </proc/$(svstat -o pid /run/service/gpm_mouse0)/cmdline"
    output(vm, f"until {runs} | grep -q 'wait-for device input/mouse0'; do usleep 100000; done")

    output(vm, "modprobe psmouse; until [ -S /dev/gpmctl ]; do usleep 100000; done")
    assert output(vm, runs) == "gpm -D -m /dev/input/mouse0 -t imps2 "
    output(vm, "mev </dev/tty1 >/run/mev 2>&1 &")  # gpm's own client, which prints what it hears

    deadline = time.monotonic() + LIMIT
    while "buttons 4" not in (heard := output(vm, "cat /run/mev")):
        assert time.monotonic() < deadline, heard
        move = [{"type": "rel", "data": {"axis": axis, "value": 20}} for axis in "xy"]
        clicks = [{"type": "btn", "data": {"button": "left", "down": down}} for down in (True, False)]
        for event in (*move, *clicks):
            vm.qmp("input-send-event", events=[event])
    output(vm, "svc -wD -d gpm_mouse0; ! pidof gpm")


def test_nmeter_writes_a_line_on_the_screen_of_its_name_as_nobody(vm: Machine) -> None:
    # VAR-222 (partly) VAR-238 (partly)
    output(vm, "until grep -q ' cpu ' /dev/vcs8; do usleep 100000; done")
    assert "nobody" in output(vm, "ps -o user,args | grep 'nmeter %[t]'")


def test_watchdog_has_the_hardware_s_fed_and_disarms_it_at_its_end(vm: Machine) -> None:
    state = "/sys/class/watchdog/watchdog0/state"
    output(vm, f"until grep -qx active {state}; do usleep 100000; done")
    assert output(vm, "cat /sys/class/watchdog/watchdog0/timeout") == "60\n"

    output(vm, "svc -wD -d watchdog")
    assert output(vm, f"cat {state}") == "inactive\n"
