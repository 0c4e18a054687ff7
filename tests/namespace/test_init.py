"""Process 1 for real, in a namespace: boot, stages, signals, end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import Machine, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
SLEEPER = "#!/bin/sh\nexec sleep 1000\n"


def order(machine: Machine) -> list[str]:
    return [event["event"] for event in machine.events if not event["service"]]


def test_process_1_boots_runs_stage_2_and_powers_off_with_its_services_down(tmp_path: Path) -> None:
    # INI-201 SUP-026 INI-210 (partly)
    with Machine(tmp_path, {"web": SLEEPER}, rc_init="echo stage two speaks") as machine:
        machine.wait_for("up", "web")
        machine.wait_for("booted")
        assert machine.run("svok", "/run/service/web").returncode == 0
        machine.run("poweroff")
        machine.wait_for("ending")
        assert machine.wait_for("down", "web")["reason"] == "signal TERM"
        assert machine.wait_end() == -signal.SIGINT  # what reboot(2) in a pid namespace turns power-off into
        assert order(machine) == [
            "stage1",
            "python",
            "tree",
            "stage2",
            "booted",
            "stopping",
            "stage3",
            "ending",
        ]
        assert "stage two speaks" in (machine.host / "catch-all").read_text()


@pytest.mark.parametrize(
    ("name", "mode", "ends"),
    [
        ("INT", "reboot", -signal.SIGHUP),  # ctrl-alt-del
        ("USR1", "poweroff", -signal.SIGINT),
        ("PWR", "poweroff", -signal.SIGINT),
        ("USR2", "halt", -signal.SIGINT),
    ],
)
def test_a_signal_to_process_1_ends_the_machine_in_its_way(
    tmp_path: Path, name: str, mode: str, ends: int
) -> None:
    # INI-212
    with Machine(tmp_path) as machine:
        machine.wait_for("booted")
        machine.signal(name)
        assert machine.wait_for("stopping")["reason"] == mode
        assert machine.wait_end() == ends


def test_term_quit_and_hup_mean_nothing_to_process_1(tmp_path: Path) -> None:
    # INI-213
    with Machine(tmp_path, {"web": SLEEPER}) as machine:
        up = machine.wait_for("up", "web")
        machine.wait_for("booted")
        for name in ("TERM", "QUIT", "HUP", "ALRM"):
            machine.signal(name)
        assert machine.run("svstat", "-p", "/run/service/web").stdout == f"{up['pid']}\n"


def test_stage_2_waits_until_the_catch_all_logger_reads(tmp_path: Path) -> None:
    # INI-202
    slow = "#!/bin/sh\nread -r go </host/go\nexec <fifo >/dev/null\necho >&3\nexec cat >>/host/catch-all\n"
    machine = Machine(tmp_path, rc_init="echo done >/host/done")
    (machine.root / "etc/initfs/early/svscan-log/run").write_text(slow)
    os.mkfifo(machine.host / "go")
    with machine:
        machine.wait_for("up", "svscan-log")
        machine.wait_for("tree")
        assert machine.next(0.5) is None, "no stage 2 yet"
        (machine.host / "go").write_text("go\n")
        machine.wait_for("stage2")
        machine.wait_for("booted")
        assert (machine.host / "done").exists()


def test_a_logger_that_never_comes_does_not_keep_the_machine_from_booting(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"getty_tty": SLEEPER})
    (machine.root / "etc/initfs/early/svscan-log/run").write_text("#!/bin/sh\nexit 1\n")
    with machine:
        machine.wait_for("booted")
        assert machine.run("svstat", "-u", "/run/service/getty_tty").stdout == "true\n"


def test_what_early_services_say_before_the_logger_reads_is_kept_and_kills_nobody(tmp_path: Path) -> None:
    # LOG-119 (partly)
    slow = "#!/bin/sh\nread -r go </host/go\nexec <fifo >/dev/null\necho >&3\nexec 3>&-\nexec cat >>/host/catch-all\n"
    talker = "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do echo line $i of an early service; i=$((i+1)); done\nexec sleep 1000\n"
    machine = Machine(tmp_path, {"a_talker": talker})
    (machine.root / "etc/initfs/early/svscan-log/run").write_text(slow)
    os.mkfifo(machine.host / "go")
    with machine:
        machine.wait_for("up", "a_talker")
        (machine.host / "go").write_text("go\n")
        machine.wait_for("booted")
        machine.run("poweroff")
        machine.wait_end()
        logged = (machine.host / "catch-all").read_text().splitlines()
        assert [line for line in logged if "early" in line] == [
            f"line {i} of an early service" for i in range(3000)
        ]


def test_a_failing_stage_2_leaves_the_early_services_up(tmp_path: Path) -> None:
    # INI-203
    with Machine(tmp_path, {"getty_tty": SLEEPER}, rc_init="exit 1") as machine:
        assert "256" in machine.wait_for("booted")["reason"]
        assert machine.run("svstat", "-u", "/run/service/getty_tty").stdout == "true\n"


def test_services_that_stage_2_renames_into_the_scan_directory_are_started(tmp_path: Path) -> None:
    rc_init = """
mkdir -p /run/service/.new/late
printf '#!/bin/sh\\nexec sleep 1000\\n' >/run/service/.new/late/run
chmod +x /run/service/.new/late/run
mv /run/service/.new/* /run/service/
"""
    with Machine(tmp_path, rc_init=rc_init) as machine:
        machine.wait_for("up", "late")


def test_a_service_that_ignores_term_cannot_hold_the_end(tmp_path: Path) -> None:
    # INI-211 (partly)
    stubborn = "#!/bin/sh\ntrap '' TERM\nwhile :; do read -r x </host/never; done\n"
    machine = Machine(tmp_path, {"stubborn": stubborn})
    machine.become = f"from initfs.pid1 import shutdown; shutdown.LIMITS['services'] = 1.0\n{machine.become}"
    os.mkfifo(machine.host / "never")
    with machine:
        machine.wait_for("booted")
        machine.run("reboot")
        machine.wait_for("stage3", timeout=20)
        assert machine.wait_end() == -signal.SIGHUP


def test_an_orphan_that_dies_is_reaped(tmp_path: Path) -> None:
    # SUP-013
    run = "#!/bin/sh\n(true & exec true) &\nwait\nexec sleep 1000\n"
    with Machine(tmp_path, {"forker": run}) as machine:
        machine.wait_for("booted")
        states = machine.inside("sh", "-c", "cat /proc/[0-9]*/stat").stdout
        assert ") Z " not in states


def test_output_of_an_unlogged_service_reaches_the_catch_all(tmp_path: Path) -> None:
    # LOG-120
    with Machine(
        tmp_path, {"talker": "#!/bin/sh\necho to stdout\necho to stderr >&2\nexec sleep 1000\n"}
    ) as machine:
        machine.wait_for("up", "talker")
        machine.wait_for("booted")
        machine.run("poweroff")
        machine.wait_end()
        logged = (machine.host / "catch-all").read_text()
        assert "to stdout\n" in logged
        assert "to stderr\n" in logged


def test_the_environment_of_a_service_is_clean_and_the_same_at_every_start(tmp_path: Path) -> None:
    # SUP-035
    run = "#!/bin/sh\nenv | grep -v '^_=\\|PWD\\|SHLVL' | sort >>/host/env; echo ---- >>/host/env; exec sleep 1000\n"
    with Machine(tmp_path, {"web": run}) as machine:
        machine.wait_for("up", "web")
        machine.wait_for("booted")
        machine.run("svc", "-wr", "-r", "/run/service/web")
        machine.run("poweroff")
        machine.wait_end()
        first, second = (machine.host / "env").read_text().split("----\n")[:2]
        assert first == second
        assert "HASHSEED" not in first
        assert "INITFS" not in first
        assert "PATH=/usr/bin:/bin\n" in first


def test_a_crowd_of_zombies_is_reaped_while_commands_are_heard(tmp_path: Path) -> None:
    # QUA-244 (partly)
    count = max(2000, 1000 * int(os.environ.get("INITFS_ROUNDS", "1")))
    forker = (
        "#!/usr/bin/env python3\nimport os\n"
        f"for _ in range({count} // 100):\n"
        "    if not os.fork():\n"
        "        for _ in range(99):\n"
        "            if not os.fork(): os._exit(0)\n"
        "        os._exit(0)\n"
        "open('/host/done', 'w').close()\n"
        "os.execvp('sleep', ['sleep', '1000'])\n"
    )
    with Machine(tmp_path, {"forker": forker, "web": SLEEPER}) as machine:
        machine.wait_for("booted")
        assert machine.run("svc", "-wr", "-r", "/run/service/web").returncode == 0
        wait_until((machine.host / "done").exists, "the crowd", 100.0)
        # of what has died nothing is left but the children of the service itself, which is theirs to fetch
        wait_until(lambda: zombies(machine) == 0, "the reaping")
        assert machine.run("svstat", "-u", "/run/service/web").stdout == "true\n"


def zombies(machine: Machine) -> int:
    """The dead children of process 1 that it has not fetched."""
    lines = machine.inside("ps", "-eo", "ppid=,stat=").stdout.splitlines()
    return sum(line.split()[0] == "1" and line.split()[1].startswith("Z") for line in lines)
