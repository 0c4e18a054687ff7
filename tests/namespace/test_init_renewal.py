"""Process 1 executes itself anew: by command, when it fails, from what it left on disk, and not for ever."""

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
# Bursts of lines, each line as soon as it may.
TALKER = """#!/bin/sh
i=0
while :; do echo "line $i"; i=$((i+1)); [ $((i % 1000)) != 0 ] || sleep 0.02; done
"""
LOGGER = "#!/bin/sh\nexec cat >>/host/lines\n"


def pid(machine: Machine, name: str) -> str:
    return machine.run("svstat", "-p", f"/run/service/{name}").stdout.strip()


def renewed(machine: Machine, times: int) -> None:
    """Wait until it has executed itself anew so often."""
    while sum(event["event"] == "renewed" for event in machine.events) < times:
        assert machine.next(20.0) is not None, machine.console


def test_an_execution_anew_by_command_keeps_pids_subscribers_and_what_is_wanted(tmp_path: Path) -> None:
    # QUA-244 (partly)
    machine = Machine(tmp_path, {"web": SLEEPER, "idle": SLEEPER})
    with machine:
        web = machine.wait_for("up", "web")["pid"]
        machine.wait_for("up", "idle")
        machine.wait_for("booted")
        machine.run("svc", "-wD", "-d", "/run/service/idle")
        machine.run("svscanctl", "--reexec", "/run/service")
        print(machine.wait_for("renewed")["reason"])  # on the same connection
        assert pid(machine, "web") == str(web)
        assert "down" in machine.run("svstat", "/run/service/idle").stdout
        assert machine.run("svc", "-wr", "-k", "/run/service/web").returncode == 0
        downs = [event for event in machine.events if event["event"] == "down"]
        assert [event["service"] for event in downs] == ["idle"]
        assert machine.wait_for("down", "web")["reason"] == "signal KILL"
        assert [event["seq"] for event in machine.events] == list(range(1, len(machine.events) + 1))
        machine.run("poweroff")
        assert machine.wait_end() == -signal.SIGINT


def test_no_line_is_lost_or_doubled_while_process_1_executes_itself_anew_under_load(tmp_path: Path) -> None:
    # QUA-244 (partly)
    machine = Machine(tmp_path)
    rounds = 10 * int(os.environ.get("INITFS_ROUNDS", "1"))
    talker = machine.write_service("talker", TALKER)
    (talker / "log").mkdir()
    (talker / "log/run").write_text(LOGGER)
    (talker / "log/run").chmod(0o755)
    for number in range(20):
        machine.write_service(f"sleeper{number}", SLEEPER)
    with machine:
        machine.wait_for("booted")
        machine.wait_for("up", "talker/log")
        before = pid(machine, "talker"), pid(machine, "talker/log")
        for number in range(rounds):
            machine.run("svscanctl", "-x", "/run/service")
            renewed(machine, number + 1)
        assert (pid(machine, "talker"), pid(machine, "talker/log")) == before
        machine.run("poweroff")
        machine.wait_end()
        with (machine.host / "lines").open("rb") as lines:  # a campaign has too many for memory
            wrong = [(number, line) for number, line in enumerate(lines) if line != b"line %d\n" % number]
        assert not wrong[:1] or (len(wrong) == 1 and not wrong[0][1].endswith(b"\n")), wrong[:9]


def test_readiness_deadlines_and_commands_survive_an_execution_anew(tmp_path: Path) -> None:
    late = "#!/bin/sh\nread -r go </host/go\necho >&3\nexec sleep 1000\n"
    stubborn = "#!/bin/sh\ntrap '' TERM\nwhile :; do read -r x </host/never; done\n"
    machine = Machine(tmp_path)
    machine.write_service("late", late, {"notification-fd": "3\n"})
    machine.write_service("stubborn", stubborn, {"timeout-kill": "3000\n"})
    os.mkfifo(machine.host / "go")
    os.mkfifo(machine.host / "never")
    with machine:
        machine.wait_for("up", "late")
        machine.wait_for("up", "stubborn")
        machine.wait_for("booted")
        machine.run("svc", "-d", "/run/service/stubborn")
        machine.run("svscanctl", "-x", "/run/service")
        renewed(machine, 1)
        (machine.host / "go").write_text("go\n")
        machine.wait_for("ready", "late")
        assert machine.wait_for("down", "stubborn")["reason"] == "signal KILL"


def test_stage_2_and_a_shutdown_that_waits_go_on_in_the_next_execution(tmp_path: Path) -> None:
    machine = Machine(tmp_path, rc_init="read -r go </host/go")
    os.mkfifo(machine.host / "go")
    with machine:
        machine.wait_for("stage2")
        machine.run("shutdown", "-r", "+60")
        machine.wait_for("waiting")
        machine.run("svscanctl", "-x", "/run/service")
        renewed(machine, 1)
        (machine.host / "go").write_text("go\n")
        assert machine.wait_for("booted")["reason"] == ""
        machine.run("shutdown", "-c")
        machine.wait_for("cancelled")
        machine.run("reboot")
        assert machine.wait_end() == -signal.SIGHUP


def test_process_1_that_fails_goes_on_and_if_what_it_took_along_is_bad_it_goes_by_the_files(
    tmp_path: Path,
) -> None:
    # INI-214 (partly) QUA-244 (partly)
    with Machine(tmp_path, {"web": SLEEPER}, broken=True) as machine:
        up = machine.wait_for("up", "web")
        machine.wait_for("booted")
        machine.signal("WINCH")
        machine.run("svscanctl", "-z", "/run/service")  # a second turn, and a second error
        renewed(machine, 1)  # but the command that it fails at has come along
        machine.again()
        adopted = machine.wait_for("up", "web")
        assert (adopted["pid"], adopted["reason"]) == (up["pid"], "adopted")
        assert "beginning anew, with nothing" in (machine.host / "catch-all").read_text()
        assert machine.run("svc", "-wr", "-k", "/run/service/web").returncode == 0
        assert machine.wait_for("down", "web")["reason"] == "signal KILL", "still our own child"
        machine.run("poweroff")
        assert machine.wait_end() == -signal.SIGINT


def test_the_third_failure_in_a_minute_leads_to_the_crash_script(tmp_path: Path) -> None:
    # INI-214
    machine = Machine(tmp_path, {"web": SLEEPER}, broken=True)
    private = machine.root / "etc/initfs/early/.svscan"
    private.mkdir()
    (private / "crash").write_text("#!/bin/sh\necho crashed >/host/crashed\nexec sleep 1000\n")
    (private / "crash").chmod(0o755)
    with machine:
        machine.wait_for("booted")
        for times in range(2):
            machine.signal("WINCH")
            machine.run("svscanctl", "-z", "/run/service")
            if not times:
                renewed(machine, 1)
                machine.again()
                machine.wait_for("up", "web")
        wait_until((machine.host / "crashed").exists, "the crash script")
        assert "beginning anew" in (machine.host / "catch-all").read_text()


@pytest.mark.parametrize("damage", ["version", "bytes", "a descriptor"])
def test_luggage_that_cannot_be_read_is_replaced_by_what_the_service_directories_say(
    tmp_path: Path, damage: str
) -> None:
    spoil = {
        "version": "luggage.VERSION += os.environ.get('INITFS_LUGGAGE') is not None",
        "bytes": "again = 'INITFS_LUGGAGE' in os.environ\nluggage.checksum = lambda body: len(body) + again",
        "a descriptor": "relocation.carry = lambda *a, b=relocation.carry: {**b(*a), 'entries': [dict(b(*a)['entries'][0], pipe=(900, 901))]}",
    }[damage]
    machine = Machine(tmp_path, {"web": SLEEPER})
    machine.become = (
        "import os\nfrom initfs.supervise import luggage, relocation\n" + spoil + "\n" + machine.become
    )
    with machine:
        up = machine.wait_for("up", "web")
        machine.wait_for("booted")
        machine.run("svscanctl", "-x", "/run/service")
        machine.again()
        adopted = machine.wait_for("up", "web")
        assert (adopted["pid"], adopted["reason"]) == (up["pid"], "adopted")
        assert (
            "unable to take over from ourselves" in machine.console + (machine.host / "catch-all").read_text()
        )
        machine.run("svc", "-wD", "-d", "/run/service/web")
        assert machine.wait_for("down", "web")["reason"] == "signal TERM"
        machine.run("svc", "-wu", "-o", "/run/service/web")
        machine.run("svc", "-wD", "-k", "/run/service/web")
        reasons: list[str] = []
        while len(reasons) < 2 and machine.next(20.0) is not None:
            reasons = [event["reason"] for event in machine.events if event["event"] == "down"]
        assert reasons == ["signal TERM", "signal KILL"], "deaths are heard of again"


def test_an_execution_anew_before_stage_2_does_not_skip_it(tmp_path: Path) -> None:
    slow = "#!/bin/sh\nread -r go </host/go\nexec <fifo >/dev/null\necho >&3\nexec cat >>/host/catch-all\n"
    machine = Machine(tmp_path, rc_init="echo done >/host/done")
    (machine.root / "etc/initfs/early/svscan-log/run").write_text(slow)
    os.mkfifo(machine.host / "go")
    with machine:
        machine.wait_for("up", "svscan-log")
        machine.run("svscanctl", "-x", "/run/service")
        renewed(machine, 1)
        assert not (machine.host / "done").exists()
        (machine.host / "go").write_text("go\n")
        machine.wait_for("booted")
        assert (machine.host / "done").exists()


def test_an_end_that_had_begun_is_begun_again_by_an_execution_that_knows_nothing(tmp_path: Path) -> None:
    # INI-210 (partly)
    script = "[ ! -e /host/go ] || { rm /host/go; exec sleep 1000; }"
    machine = Machine(tmp_path, {"web": SLEEPER}, rc_shutdown=script, broken=True)
    (machine.host / "go").touch()
    with machine:
        machine.wait_for("booted")
        machine.run("reboot")
        machine.wait_for("stopping")
        wait_until(lambda: not (machine.host / "go").exists(), "rc.shutdown")
        machine.signal("WINCH")
        machine.run("svscanctl", "-z", "/run/service")
        assert machine.wait_end() == -signal.SIGHUP
