"""Ends of the machine: who may ask for one, what people are told, in which order things go, and what does not hold it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initfs.pid1 import logins
from tests.namespace.machine import Machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
WIDE = os.uname().machine in logins.WIDE


QUICK = "from initfs.pid1 import shutdown; shutdown.MOMENT = 0.5\n"  # for ends that strays hold


def login(line: str, user: str, pid: int) -> bytes:
    """An utmp record."""
    record = bytearray(logins.mark(logins.USER_PROCESS, user, "", 0, wide=WIDE))
    struct.pack_into("=i", record, 4, pid)
    record[8:40] = line.encode().ljust(32, b"\0")
    return bytes(record)


def inside(machine: Machine, path: str) -> Path:
    return Path(f"/proc/{machine.pid}/root/{path}")


def heard(terminal: int, text: str) -> bool:
    """Whether a terminal's other side gets to see this within some seconds."""
    seen = ""
    deadline = time.monotonic() + 10
    while text not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1.0)[0]:
            seen += os.read(terminal, 4096).decode()
    return text in seen


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["25:00"], 100), (["soon"], 100), ([], 100), (["-t", "x", "now"], 100), (["-Z", "now"], 100), (["-i", "now"], 1),
        (["-c"], 0), (["-k", "-r", "now", "hello"], 0), (["-f", "-F", "-r", "+9"], 0),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_shutdown_s_command_line(machine: Machine, arguments: list[str], code: int) -> None:
    # INI-208 (partly)
    assert machine.run("shutdown", *arguments).returncode == code
    machine.run("shutdown", "-c")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One machine for all that does not end it."""
    with Machine(tmp_path_factory.mktemp("machine")) as booted:
        booted.wait_for("booted")
        yield booted


def test_people_are_told_wherever_they_are_logged_in(machine: Machine) -> None:
    # INI-208 INI-216 (partly)
    ours, theirs = pty.openpty()
    line = os.ttyname(theirs).removeprefix("/dev/")
    inside(machine, "run/utmp").write_bytes(
        login(line, "alice", 4) + login("../etc/passwd", "x", 5) + login("no/such", "y", 6)
    )
    before = len(machine.events)
    machine.run("shutdown", "-k", "-r", "+5", "save\x1b[2J your work")
    assert heard(ours, "going to go down in 5 minutes!\r\r\nsave[2J your work")
    machine.run("shutdown", "-r", "+5")
    assert heard(ours, "going to reboot in 5 minutes!")
    machine.run("shutdown", "-c", "never mind")
    assert heard(ours, "never mind")
    machine.wait_for("cancelled")
    assert [event["event"] for event in machine.events[before:] if not event["service"]][-2:] == [
        "waiting",
        "cancelled",
    ]
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def wtmp(machine: Machine) -> Path:
    """The machine's wtmp after `halt -w`."""
    path = machine.root / "var/log/wtmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert machine.run("halt", "-w").returncode == 0
    return path


def test_wtmp_gets_a_record(wtmp: Path) -> None:
    # INI-209 (partly) INI-216 (partly)
    assert logins.read(wtmp.read_bytes(), wide=WIDE) == [logins.Login(logins.RUN_LEVEL, 0, "~", "shutdown")]


@pytest.mark.skipif(not shutil.which("last"), reason="util-linux has no last here")
def test_last_shows_the_record_in_wtmp(wtmp: Path) -> None:
    # INI-209 (partly) INI-216 (partly)
    shown = subprocess.run(["last", "-x", "-f", wtmp], capture_output=True, text=True, check=False)
    assert shown.returncode or shown.stdout.startswith("shutdown system down")


def test_a_logout_is_noted_when_the_connection_ends(machine: Machine) -> None:
    # INI-216
    directory = inside(machine, "run/service") / ".hook"
    directory.mkdir()
    (directory / "run").write_text(
        "#!/bin/sh\nexport PYTHONPATH=$(cat /host/pythonpath)\nexec $(cat /host/python) -m initfs.main ipcserver -1 -a 0700 "
        "-- s $(cat /host/python) -m initfs.main logouthookd\n"
    )
    (directory / "run").chmod(0o755)
    (directory / "notification-fd").write_text("1\n")
    root = Path(__file__).parents[2]
    (machine.host / "pythonpath").write_text(str(root))
    (machine.host / "python").write_text(os.path.realpath(sys.executable))
    directory.rename(directory.with_name("hook"))
    machine.wait_for("ready", "hook")
    utmp = inside(machine, "run/utmp")
    # a login: it writes its record, connects, and holds on; its pid is in its own namespace's numbers
    login_program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/service/hook/s');"
        "print(os.getpid(), flush=True); sys.stdin.read()"
    )
    enter = ["nsenter", "--target", str(machine.pid), "--all", "--root", "--wd=/", "--"]
    python = (machine.host / "python").read_text()
    with subprocess.Popen([*enter, python, "-c", login_program], stdin=-1, stdout=-1, text=True) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        pid = int(client.stdout.readline())
        utmp.write_bytes(login("pts/77", "bob", 99999) + login("pts/78", "alice", pid))
        client.stdin.close()
    wait_until(lambda: logins.read(utmp.read_bytes(), wide=WIDE)[1].kind == logins.DEAD_PROCESS, "the logout")
    assert logins.read(utmp.read_bytes(), wide=WIDE)[0].kind == logins.USER_PROCESS


def test_umountall_takes_the_latest_first_and_makes_read_only_what_is_busy(machine: Machine) -> None:
    # INI-215
    script = """
mkdir -p /tmp/a /tmp/b
mount -t tmpfs one /tmp/a; mkdir /tmp/a/inner; mount -t tmpfs two /tmp/a/inner; mount -t tmpfs three /tmp/b
: >/tmp/a/open; exec 9</tmp/a/open
"$@" 2>/tmp/said
code=$? count=0
while read -r line; do case $line in *'unable to unmount'*) count=$((count + 1)) ;; esac; done </tmp/said
echo $count
echo $code
while read -r line; do case $line in *' /tmp/'*) echo "$line" ;; esac; done </proc/mounts
{ echo x >/tmp/a/more; } 2>/dev/null || echo refused
"""  # with the shell's own words only: what others need is not mounted any more
    python = [os.path.realpath(sys.executable), "-m", "initfs.main", "umountall"]
    result = machine.inside(
        "unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script, "sh", *python
    )
    failures, code, *lines = result.stdout.splitlines()
    assert failures == code
    assert int(code) >= 1
    assert [line.split()[1] for line in lines[:-1]] == ["/tmp/a"]
    assert lines[0].split()[3].startswith("ro")
    assert lines[-1] == "refused"


@pytest.mark.parametrize(("program", "ends"), [("reboot", -signal.SIGHUP), ("poweroff", -signal.SIGINT)])
def test_with_f_the_end_comes_at_once_and_nobody_is_asked(tmp_path: Path, program: str, ends: int) -> None:
    # INI-209 (partly)
    with Machine(tmp_path, rc_shutdown="echo ran >/host/ran") as machine:
        machine.wait_for("booted")
        machine.run(program, "-f", "-n", "-d")
        assert machine.wait_end() == ends
        assert not (machine.host / "ran").exists()


def test_hpr_with_a_letter_is_halt_poweroff_or_reboot(tmp_path: Path) -> None:
    # INI-209
    with Machine(tmp_path) as machine:
        machine.wait_for("booted")
        assert machine.run("hpr").returncode == 100
        machine.run("hpr", "-r")
        assert machine.wait_for("stopping")["reason"] == "reboot"
        assert machine.wait_end() == -signal.SIGHUP


def test_the_end_goes_its_way_in_order_to_the_final_hook(tmp_path: Path) -> None:
    # INI-210
    wait = 'trap "echo TERM >>/host/order" TERM; >/host/waiting; while :; do sleep 0.1; done'
    stray = f"#!/bin/sh\nsetsid sh -c '{wait}' &\nexec sleep 1000\n"
    machine = Machine(
        tmp_path, {"stray": stray}, rc_shutdown="echo rc.shutdown >>/host/order; cp /host/order /order"
    )
    machine.become = QUICK + machine.become
    machine.script("rc.shutdown.final", "cat /proc/mounts >/mounts; echo final >/final")
    with machine:
        machine.wait_for("booted")
        wait_until((machine.host / "waiting").exists, "the stray")
        machine.run("shutdown", "-t", "1", "-p", "now")
        machine.wait_for("ending")
        assert machine.wait_end() == -signal.SIGINT
        told = [(event["event"], event["service"]) for event in machine.events]
        order = [
            told.index(each) for each in (("stopping", ""), ("down", "stray"), ("stage3", ""), ("ending", ""))
        ]
        assert order == sorted(order)
        assert (machine.host / "order").read_text().splitlines()[:2] == ["rc.shutdown", "TERM"]
        assert (machine.root / "final").read_text() == "final\n"
        assert " /tmp " not in (machine.root / "mounts").read_text()


def test_the_grace_is_what_was_asked_for(tmp_path: Path) -> None:
    # INI-211
    deaf = "#!/bin/sh\nsetsid sh -c \"trap '' TERM; sleep 1000 & wait; sleep 1000\" &\nexec sleep 1000\n"
    machine = Machine(tmp_path, {"deaf": deaf})
    machine.become = QUICK + machine.become
    with machine:
        machine.wait_for("booted")
        machine.run("shutdown", "-t", "2", "-r", "now")
        began, ended = machine.wait_for("stage3")["time"], machine.wait_for("ending")["time"]
        assert 2.0 <= ended - began < 2.0 + 3.0
        assert machine.wait_end() == -signal.SIGHUP


def test_shutdown_without_an_end_runs_rc_shutdown_and_the_machine_stays(tmp_path: Path) -> None:
    # INI-208 (partly)
    with Machine(tmp_path, rc_shutdown="echo ran >>/host/ran") as machine:
        machine.wait_for("booted")
        machine.run("shutdown", "now")
        machine.wait_for("single")
        assert (machine.host / "ran").read_text() == "ran\n"
        machine.run("reboot")
        assert machine.wait_end() == -signal.SIGHUP
        assert (machine.host / "ran").read_text() == "ran\nran\n"


def test_neither_a_fork_bomb_nor_a_script_that_hangs_holds_the_end(tmp_path: Path) -> None:
    # INI-210 (partly)
    bomb = "#!/bin/sh\nulimit -u 400\nb() { sleep 0.3; b & b & }\nb\nexec sleep 1000\n"
    machine = Machine(tmp_path, {"bomb": bomb}, rc_shutdown="exec sleep 1000")
    machine.become = f"{QUICK}shutdown.LIMITS['script'] = 1.0\n{machine.become}"
    with machine:
        machine.wait_for("booted")
        inside(machine, "run/service/bomb/down").touch()
        machine.run("reboot")
        assert machine.wait_end(60) == -signal.SIGHUP
        assert "the stage 'script' takes too long" in (machine.host / "catch-all").read_text()
