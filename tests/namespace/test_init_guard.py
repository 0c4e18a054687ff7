"""Process 1 watches over the machine: it feeds the watchdog, acts on failing services, enters failsafe mode, tells of the previous boot."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import ROOT, Machine, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
SLEEPER = "#!/bin/sh\nexec sleep 1000\n"
HURRIED = """
from initfs.pid1 import failures, hardware, watchdog
hardware.DEVICE, watchdog.DOWN, watchdog.HEALTHY, failures.OFTEN = "/host/watchdog", 1.0, 0.5, 2
watchdog.STEADY, watchdog.interval = 0.3, lambda timeout: 0.1
"""


class Device:
    """What stands for /dev/watchdog: a FIFO, whose reader notes what comes."""

    def __init__(self, machine: Machine) -> None:
        path = machine.host / "watchdog"
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        (machine.root / "etc/initfs/watchdog").write_text("30\n")
        machine.become = HURRIED + machine.become

    def meal(self, timeout: float = 20.0) -> bytes:
        """What is written next; nothing when there is nothing within the time."""
        ready, _, _ = select.select([self._fd], [], [], timeout)
        return os.read(self._fd, 65536) if ready else b""

    def hungry(self) -> bool:
        """It gets nothing any more."""
        while self.meal(0.0):
            pass
        return not self.meal(1.0)


def test_the_watchdog_is_fed_from_the_first_second_and_not_when_process_1_is_stopped(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    device = Device(machine)
    with machine:
        machine.wait_for("booted")
        assert set(device.meal()) == {0}
        machine.signal("STOP")
        assert device.hungry()
        machine.signal("CONT")
        assert device.meal()
        machine.run("svscanctl", "-x", "/run/service")
        machine.wait_for("renewed")
        assert device.meal(), "another execution goes on with it"
        machine.run("poweroff")
        machine.wait_end()


def test_nobody_feeds_while_a_critical_service_that_is_wanted_stays_down(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    device = Device(machine)
    machine.write_service(
        "net", "#!/bin/sh\n[ -e /host/good ] || exit 1\nexec sleep 1000\n", {"critical": ""}
    )
    machine.write_service("web", SLEEPER, {"critical": ""})
    (machine.host / "good").touch()
    with machine:
        machine.wait_for("healthy")
        machine.run("svc", "-wD", "-d", "/run/service/web")  # somebody wants it so
        (machine.host / "good").unlink()
        machine.run("svc", "-k", "/run/service/net")
        assert "net is critical" in machine.wait_for("unfed")["reason"]
        assert device.hungry()
        (machine.host / "good").touch()
        assert device.meal()


@pytest.mark.parametrize(("emergency", "stopped"), [("shell", True), ("reset", False)])
def test_a_hopeless_process_1_stops_the_watchdog_only_where_a_person_is_to_look(
    tmp_path: Path, emergency: str, stopped: bool
) -> None:
    machine = Machine(tmp_path, broken=True)
    device = Device(machine)
    (machine.root / "etc/initfs/emergency").write_text(f"{emergency}\n")
    machine.become = "from initfs.pid1 import renewal; renewal.OFTEN = 1\n" + machine.become
    with machine:
        machine.wait_for("booted")
        machine.signal("WINCH")
        machine.run("svscanctl", "-z", "/run/service")
        machine.wait_end()
        written = b""
        while more := device.meal(0.0):
            written += more
        assert written.endswith(b"V") == stopped


def test_a_service_that_fails_reboots_the_machine_if_it_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    Device(machine)
    machine.write_service("net", "#!/bin/sh\nexit 1\n", {"on-failure": "reboot\n"})
    with machine:
        assert machine.wait_for("failing")["reason"] == "net fails: reboot"
        assert machine.wait_for("stopping")["reason"] == "reboot"
        assert machine.wait_end() == -signal.SIGHUP


def test_a_service_that_gives_up_leads_to_failsafe_mode_if_it_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write_service(
        "net", "#!/bin/sh\nexit 1\n", {"on-failure": "failsafe\n", "finish": "#!/bin/sh\nexit 125\n"}
    )
    machine.script("rc.failsafe", 'echo "$1" >/host/failsafe')
    with machine:
        assert machine.wait_for("failsafe")["reason"] == "net fails"
        wait_until((machine.host / "failsafe").exists, "rc.failsafe")
        assert "failsafe mode: net fails" in machine.console
        assert machine.inside("cat", "/run/initfs/failsafe").stdout == "net fails\n"


def test_a_failing_service_without_such_a_word_is_only_restarted(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"net": "#!/bin/sh\nexit 1\n"})
    Device(machine)
    with machine:
        for _ in range(3):
            while (event := machine.next(20.0)) and (event["service"], event["event"]) != ("net", "down"):
                pass
        assert {"failing", "failsafe", "stopping"}.isdisjoint(event["event"] for event in machine.events)


def test_a_boot_parameter_or_a_program_asks_for_failsafe_mode(tmp_path: Path) -> None:
    machine = Machine(tmp_path, rc_init="echo init >>/host/said")
    machine.script("rc.failsafe", 'echo "$1" >>/host/said')
    (machine.host / "cmdline").write_text("quiet initfs.failsafe\n")
    with machine:
        assert "command line" in machine.wait_for("failsafe")["reason"]
        machine.wait_for("booted")
        assert "command line" in (machine.host / "said").read_text()
        assert "init\n" not in (machine.host / "said").read_text()
    with Machine(tmp_path / "again", rc_init="exit 0") as other:
        other.wait_for("booted")
        other.run("failsafe")
        assert other.wait_for("failsafe")["reason"] == "asked for"


def test_the_previous_boot_s_end_is_told_and_what_told_it_is_used_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    kept = machine.root / "sys/fs/pstore"
    kept.mkdir(parents=True)
    (kept / "dmesg-ramoops-0").write_text("<0>[ 1.0] Kernel panic - not syncing: Fatal exception\n")
    with machine:
        assert machine.wait_for("previous")["reason"] == "the kernel panicked: Fatal exception"
        machine.wait_for("booted")
        assert (
            machine.inside("cat", "/run/initfs/previous").stdout == "the kernel panicked: Fatal exception\n"
        )
        assert list(kept.iterdir()) == []
        machine.run("poweroff")
        machine.wait_end()
        assert "previous boot ended because: the kernel panicked" in (machine.host / "catch-all").read_text()


def test_a_machine_that_stays_well_is_healthy_and_its_record_says_so(tmp_path: Path) -> None:
    record = f"PYTHONPATH={ROOT} {os.path.realpath(sys.executable)} -m initfs.main boot-record"
    (tmp_path / "data").mkdir()

    def boot(number: int, *, healthy: bool) -> tuple[str, str]:
        """Boot, and pull the plug; why the previous one ended, and whether this one was to be a failsafe one."""
        machine = Machine(
            tmp_path / str(number), rc_init=f"{record} begin /host/data || echo failsafe >/host/said"
        )
        Device(machine)
        machine.script("rc.healthy", f"{record} healthy /host/data && touch /host/healthy")
        (tmp_path / "data").rename(machine.host / "data")
        if not healthy:
            machine.become = machine.become.replace("watchdog.HEALTHY", "watchdog.UNUSED")
        with machine:
            machine.wait_for("booted")
            why = machine.wait_for("previous")["reason"]
            if healthy:
                machine.wait_for("healthy")
                wait_until((machine.host / "healthy").exists, "rc.healthy")
        (machine.host / "data").rename(tmp_path / "data")
        said = machine.host / "said"
        return why, said.read_text() if said.exists() else ""

    told = [boot(number, healthy=number in (0, 1)) for number in range(6)]
    assert [said for _, said in told] == ["", "", "", "", "", "failsafe\n"]
    assert {why for why, _ in told[1:]} == {"power loss, a reset, or a crash: nothing announced it"}
    end = subprocess.run(
        [sys.executable, "-m", "initfs.main", "boot-record", "end", tmp_path / "data", "an update"],
        cwd=ROOT,
        check=True,
    )
    assert end.returncode == 0
    assert boot(6, healthy=False)[0] == "an update"


def test_a_light_follows_the_machine(tmp_path: Path) -> None:
    light = tmp_path / "leds/board:green:status"
    light.mkdir(parents=True)
    for name in ("trigger", "delay_on", "delay_off"):
        (light / name).touch()
    (tmp_path / "leds/mmc0").mkdir()
    machine = Machine(tmp_path / "machine", rc_init="read -r go </host/go")
    machine.script("rc.failsafe", "exit 0")
    os.mkfifo(machine.host / "go")

    def shows(trigger: str, on: str = "") -> None:
        def right() -> bool:
            return (light / "trigger").read_text() == trigger and (
                not on or (light / "delay_on").read_text() == on
            )

        wait_until(right, f"{trigger} {on}")

    with machine:
        machine.wait_for("stage2")
        socket = f"/proc/{machine.pid}/root/run/initfs/events"
        led = [sys.executable, "-m", "initfs.main", "led", "-d", str(tmp_path / "leds"), "-s", socket]
        program = subprocess.Popen(led, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            shows("timer", "100")
            (machine.host / "go").write_text("go\n")
            shows("heartbeat")
            machine.run("failsafe")
            shows("timer", "50")
            machine.run("poweroff", "-f")
            machine.wait_end()
            assert program.wait(20) == 111
            shows("timer", "500")
        finally:
            program.kill()
            program.wait()
