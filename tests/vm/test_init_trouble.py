"""What a machine with a data partition goes through while it runs: its clock jumps by decades, /data is full, read-only, and gone. One boot, one test after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vm.disks import ASKED, LIMIT, Disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qemu.vm import Machine

pytestmark = pytest.mark.xdist_group("disk-x86")
YEARS = 50 * 366 * 86400
# A service whose logger keeps its log on the disk.
TALKER = """
mkdir -p /data/log /run/service/.talker/log
cd /run/service/.talker
printf '#!/bin/sh\\ni=0; while :; do echo "line $i"; i=$((i+1)); sleep 0.05; done\\n' >run
printf '#!/bin/sh\\nexec svlog t s4096 n9 /data/log/talker\\n' >log/run
chmod +x run log/run
mv /run/service/.talker /run/service/talker
"""
# Services that have no reason of their own to begin anew, as some have that wait for the network.
INDEPENDENT = ("svscan-log", "getty_ttyS0", "agent", "httpd")
STEADY = (*INDEPENDENT, "talker", "talker/log")
AGE = "svstat -o updownfor /run/service/svscan-log"
LINES = "cd /data/log/talker; for i in @* current; do [ ! -e $i ] || cat $i; done"


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A PC with a disk, up, with a service whose logger writes to it."""
    disk = Disk("qemu-x86_64", "bios", tmp_path_factory.mktemp("trouble"))
    with disk.machine() as machine:
        machine.wait_booted(("dhcp_eth0",), timeout=LIMIT)
        machine.run(TALKER, timeout=ASKED)
        machine.wait_for("up", service="talker", timeout=ASKED)
        machine.run("until [ -s /data/log/talker/current ]; do sleep 0.1; done", timeout=ASKED)
        yield machine


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=ASKED)
    assert result.returncode == 0, result
    return result.stdout


def restarted(vm: Machine, name: str) -> None:
    """A service that is killed is up again."""
    mark = vm.mark()
    output(vm, f"svc -k /run/service/{name}")
    down = vm.wait_for("down", service=name, after=mark)
    vm.wait_for("up", service=name, after=vm.events.index(down))


def test_a_clock_that_jumps_50_years_both_ways_starts_and_ends_nothing(vm: Machine) -> None:
    # QUA-244 (partly)
    mark = vm.mark()
    output(vm, "shutdown -r +600")
    vm.wait_for("waiting", timeout=ASKED)
    before = pids(vm, STEADY)
    for jump in (YEARS, -2 * YEARS):  # forth; and back, to long before the machine began
        age, *after = output(
            vm, f"date -s @$(($(date +%s) + {jump})) >/dev/null; {AGE}; {pids_of(STEADY)}"
        ).splitlines()
        assert int(age) < LIMIT * 4
        assert after == before
        restarted(vm, "httpd")
        before = pids(vm, STEADY)
    output(vm, f"date -s @$(($(date +%s) + {YEARS}))")
    output(vm, "shutdown -c")
    vm.wait_for("cancelled", timeout=ASKED)
    told = vm.events[mark:]
    assert [event.time for event in told] == sorted(event.time for event in told)
    assert {event.service for event in told if event.event == "down"} & set(STEADY) == {"httpd"}


def pids_of(names: tuple[str, ...]) -> str:
    """The command that tells the process of each of these services."""
    return f"cd /run/service && svstat -o pid {' '.join(names)}"


def pids(vm: Machine, names: tuple[str, ...]) -> list[str]:
    found = output(vm, pids_of(names)).splitlines()
    assert len(found) == len(names)
    return found


def unmoved(vm: Machine, names: tuple[str, ...] = STEADY) -> None:
    """None of the services notices, and one that dies is started again."""
    before = pids(vm, names)
    restarted(vm, "httpd")
    after = pids(vm, names)
    assert [name for name, *pair in zip(names, before, after, strict=True) if len(set(pair)) > 1] == ["httpd"]


def spoken(vm: Machine) -> int:
    """The number of the last line in the log of `talker`, where none is missing.

    ext4 fails a write with EROFS when it has appended the data already: that line, stamp and all, is then there once more.
    """
    *lines, _ = output(vm, LINES).split("\n")
    numbers = [int(line.rpartition(" ")[2]) for line in dict.fromkeys(lines)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers[-1]


def goes_on(vm: Machine, last: int) -> None:
    """The log has lines behind its last one."""
    output(vm, f"until grep -q ' line {last + 5}$' /data/log/talker/*; do sleep 0.2; done")
    spoken(vm)


def test_a_full_data_partition_makes_a_log_on_it_wait_and_nothing_else(vm: Machine) -> None:
    vm.run("dd if=/dev/zero of=/data/filler bs=64k; dd if=/dev/zero of=/data/filler2 bs=512", timeout=LIMIT)
    last = spoken(vm)
    unmoved(vm)
    assert vm.run("boot-record healthy /data/initfs", timeout=ASKED).returncode in (0, 111)
    output(vm, "rm /data/filler /data/filler2")
    goes_on(vm, last)
    assert output(vm, "boot-record healthy /data/initfs; cat /data/initfs/boots").split()[:2] == [
        "0",
        "healthy",
    ]


def test_a_data_partition_that_becomes_read_only_makes_a_log_on_it_wait_and_nothing_else(vm: Machine) -> None:
    output(vm, "echo u >/proc/sysrq-trigger; until grep -q ' /data ext4 ro' /proc/mounts; do sleep 0.1; done")
    last = spoken(vm)
    unmoved(vm)
    assert vm.run("boot-record healthy /data/initfs", timeout=ASKED).returncode == 111
    output(vm, "mount -o remount,rw /data")
    goes_on(vm, last)


def test_a_disk_that_vanishes_keeps_the_machine_neither_from_working_nor_from_ending(vm: Machine) -> None:
    output(vm, "echo 1 >/sys/block/sda/device/delete")
    assert vm.run("sync; touch /data/gone && sync /data/gone", timeout=ASKED).returncode != 0
    unmoved(vm, INDEPENDENT)  # what a logger does whose disk is gone is its own business
    vm.begin("poweroff")
    assert vm.wait_stopped(timeout=LIMIT) == "guest-shutdown"
    assert "stage3" in [event.event for event in vm.events]
