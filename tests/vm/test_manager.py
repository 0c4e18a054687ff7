"""The service manager in an image: its bundle `default` at boot, a set that outlives a reboot, everything down in order at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vm.disks import ASKED, LIMIT, Disk

if TYPE_CHECKING:
    from pathlib import Path

    from qemu.vm import Machine

BOARD = "qemu-arm64"
pytestmark = pytest.mark.xdist_group(BOARD)

# web needs log, log needs tables, tables needs /data
STORE = r"""
mkdir -p /data/definitions && cd /data/definitions
service() { mkdir -p $1/dependencies.d; echo $2 >$1/type; : >$1/dependencies.d/$3; }
longrun() {
    service $1 longrun $2; echo 3 >$1/notification-fd
    printf '#!/bin/sh\necho up %s >>/data/journal\necho >&3\nexec sleep 100000 3>&-\n' $1 >$1/run
    printf '#!/bin/sh\necho down %s >>/data/journal\n' $1 >$1/finish
}
service tables oneshot base
for way in up down; do printf '#!/bin/sh\necho %s tables >>/data/journal\n' $way >tables/$way; done
longrun log tables
longrun web log
"""
INSTALL = """
set -e; r='-r /data/s6-rc/repository'
repo-init $r /usr/share/initfs/definitions /data/definitions
set-new $r mine
set-change $r -p mine active web
set-commit $r mine
set-install $r -c /data/s6-rc/current mine
rc change default
"""
IN_ORDER = ["up tables", "up log", "up web"]


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=ASKED)
    assert result.returncode == 0, result
    return result.stdout


def up(vm: Machine) -> set[str]:
    return set(output(vm, "rc -a list").split())


def ended(vm: Machine) -> list[str]:
    """Reboot; the services of the set in the order in which they went down."""
    mark = vm.mark()
    vm.begin("reboot")
    vm.wait_for("ending", after=mark, timeout=LIMIT)
    vm.wait_stopped(timeout=LIMIT)
    told = vm.events[mark:]
    before = [event.event for event in told].index("stage3")
    return [
        event.service for event in told[:before] if event.event == "down" and event.service in {"web", "log"}
    ]


def test_a_set_that_was_installed_is_up_again_after_a_reboot_and_goes_down_in_reverse_order(
    tmp_path: Path,
) -> None:
    # SM-181 SM-197
    disk = Disk(BOARD, "disk", tmp_path)
    with disk.machine() as vm:
        vm.wait_booted(timeout=LIMIT)
        assert up(vm) == {"s6rc-oneshot-runner", "data", "random-seed"}, "the image's own default"
        output(vm, STORE)
        output(vm, INSTALL)
        assert up(vm) == {"s6rc-oneshot-runner", "data", "random-seed", "tables", "log", "web"}
        assert output(vm, "readlink /run/s6-rc/compiled; readlink /data/s6-rc/current").split() == [
            "/data/s6-rc/mine.0",
            "mine.0",
        ]
        assert ended(vm) == ["web", "log"]
    with disk.machine() as vm:
        vm.wait_booted(timeout=LIMIT)
        journal = output(vm, "cat /data/journal; rm /data/journal").splitlines()
        assert journal == [*IN_ORDER, "down web", "down log", "down tables", *IN_ORDER]
        assert output(vm, "readlink /run/s6-rc/compiled") == "/data/s6-rc/current\n"
        assert {"tables", "log", "web"} <= up(vm)
        assert output(vm, "test -s /data/random-seed && rc-db check") == ""
        assert ended(vm) == ["web", "log"]
