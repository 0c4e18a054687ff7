"""What only a machine can show of process 1's care: the hardware's reset when it stands still, and a boot into failsafe mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu.vm import Machine
from tests.vm.conftest import BOOT, booted, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARD = "qemu-x86_64"
LIMIT = 90.0
pytestmark = pytest.mark.xdist_group(BOARD)
WATCHDOG = ["-device", "i6300esb", "-action", "watchdog=reset"]


@pytest.fixture(scope="module")
def vm() -> Iterator[Machine]:
    """A machine whose hardware resets it, up."""
    image = image_of(BOARD)
    with Machine(BOARD, image, append="initfs.watchdog=10", extra=WATCHDOG) as machine:
        booted(machine, image)
        yield machine


def test_a_live_upgrade_keeps_every_service_and_the_events_go_on(vm: Machine) -> None:
    # QUA-244 (partly)
    before = vm.run("svstat -p /run/service/*", timeout=LIMIT).stdout
    mark = vm.mark()
    vm.run("svscanctl --reexec /run/service", timeout=LIMIT)
    event = vm.wait_for("renewed", after=mark, timeout=LIMIT)
    print(event.reason)
    assert vm.run("svstat -p /run/service/*", timeout=LIMIT).stdout == before
    told = vm.events
    assert [one.seq for one in told] == list(range(1, len(told) + 1))


def test_a_process_1_that_stands_still_is_reset_by_the_watchdog_and_one_that_turns_is_not(
    vm: Machine,
) -> None:
    mark = vm.mark()
    vm.run("svscanctl --reexec /run/service", timeout=LIMIT)
    renewed = vm.wait_for("renewed", after=mark, timeout=LIMIT).time
    fed = f"while read -r now _ </proc/uptime; [ ${{now%.*}} -lt {renewed + 15:.0f} ]; do sleep 1; done"
    told = vm.run(f"{fed}; cat /run/uncaught-logs/current; ls -l /proc/1/fd", timeout=LIMIT).stdout
    assert "the watchdog resets this machine unless it is fed within 10 seconds" in told
    assert "/dev/watchdog" in told
    # a debugger's stop: signals do not stop process 1, but the freezer of a control group does
    vm.begin("mkdir -p /run/cg && mount -t cgroup2 none /run/cg && mkdir /run/cg/frozen && "
             "echo 1 >/run/cg/frozen/cgroup.procs && echo 1 >/run/cg/frozen/cgroup.freeze")  # fmt: skip
    assert vm.wait_stopped(timeout=LIMIT) == "guest-reset"


def test_failsafe_mode_has_one_address_a_login_and_says_so() -> None:
    image = image_of(BOARD)
    with Machine(BOARD, image, append="initfs.failsafe") as vm:
        event = vm.wait_for("failsafe", timeout=BOOT)
        assert event.reason == "the kernel's command line asks for it"
        vm.wait_console("failsafe mode", timeout=LIMIT)
        vm.wait_for("ready", service="agent", timeout=BOOT)
        told = vm.run("ip -4 addr; ls /run/service; cat /run/initfs/failsafe", timeout=LIMIT).stdout
        assert "192.168.1.1/24" in told
        assert "httpd" not in told.split()
        assert [word for word in told.split() if word.startswith("getty_")]
        vm.begin("reboot")
        assert vm.wait_stopped(timeout=LIMIT) == "guest-reset"
