"""Trees that init-maker makes: what is in them, and that they boot, change their run-level and end; as a machine and as a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.namespace.machine import ROOT, Machine, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
GOLDEN = ROOT / "tests/golden/init_maker.txt"
DUMP = """
echo "$@" >/host/arguments
env | sort >/host/environment
{ umask; ulimit -Hn; ulimit -Hc; } >/host/limits
ls -ld /run/store >/host/store
ls /run/store >>/host/store
initfs envdir -f /run/store sh -c 'echo "$COLOUR"' >>/host/store
"""


def make(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "initfs.main", "init-maker", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def listing(tree: Path) -> str:
    find = ["find", str(tree), "-printf", "%M %u /%P\\n"]
    return "".join(sorted(subprocess.run(find, capture_output=True, text=True, check=True).stdout.splitlines(keepends=True),
                          key=lambda line: line.split(" ", 2)[2]))  # fmt: skip


def test_the_tree_of_init_maker_is_what_was_reviewed(tmp_path: Path) -> None:
    # INI-200
    assert make("-1", "-L", "-G", "getty 38400 tty1", "-e", "LANG=C", tmp_path / "i").returncode == 0
    assert GOLDEN.read_text() == listing(tmp_path / "i")
    assert (tmp_path / "i/env/LANG").read_text() == "C"
    assert (
        tmp_path / "i/run-image/service/early-getty/run"
    ).read_text() == "#!/bin/sh\nexec getty 38400 tty1\n"
    assert "svlog -bpd3 -- 1 t /run" in (tmp_path / "i/run-image/service/svscan-log/run").read_text()


@pytest.mark.parametrize(
    "options",
    [["-c", "relative"], ["-u", "no such user"], ["-m", "999"], ["-t", "4"], ["-s", "/etc/x"], ["-W", "2"], ["-q", "x"], ["-Z"]],
    ids=" ".join,
)  # fmt: skip
def test_what_makes_no_sense_makes_no_tree(tmp_path: Path, options: list[str]) -> None:
    # INI-200 (partly)
    assert make(*options, tmp_path / "i").returncode == 100
    assert not (tmp_path / "i").exists()


def test_a_tree_that_is_there_is_left_alone(tmp_path: Path) -> None:
    # INI-200 (partly)
    assert make(tmp_path).returncode == 100


def test_a_made_machine_boots_into_the_run_level_of_the_kernel_s_words_with_its_environment(
    tmp_path: Path,
) -> None:
    # INI-205 INI-206
    options = [
        "-s", "/run/store", "-e", "LANG=C.UTF-8", "-e", "EMPTY", "-m", "027", "-R", "o777,c0", "-D", "5", "-1",
    ]  # fmt: skip
    machine = Machine(tmp_path, rc_init=DUMP, made=options, words=("noise", "3", "a=b", "4"))
    os.environ["COLOUR"] = "red"  # as the kernel does with `COLOUR=red`
    try:
        with machine:
            machine.wait_for("booted")
            assert (machine.host / "arguments").read_text() == "3 noise 3 4\n"
            environment = (machine.host / "environment").read_text().splitlines()
            assert {"LANG=C.UTF-8", "PATH=/opt:/usr/bin:/bin"} < set(environment)
            assert not [
                line for line in environment if line.startswith(("COLOUR", "INITFS", "PYTHON", "EMPTY"))
            ]
            assert (machine.host / "limits").read_text().split() == ["0027", "777", "0"]
            store = (machine.host / "store").read_text().splitlines()
            assert store[0].startswith("drwx------")
            assert store[-1] == "red"
            machine.run("poweroff")
            assert machine.wait_end() == -signal.SIGINT
    finally:
        del os.environ["COLOUR"]


def test_telinit_relays_the_script_s_exit_code_and_6_reboots(tmp_path: Path) -> None:
    # INI-207
    machine = Machine(tmp_path, made=[])
    level = machine.root / "etc/initfs/current/scripts/runlevel"
    level.write_text(
        '#!/bin/sh\nenv >>/host/environment\necho "$1" >>/host/levels\n[ "$1" != maintenance ] || exit 9\n'
    )
    with machine:
        machine.wait_for("booted")
        machine.wait_for("ready", "runleveld")
        assert machine.inside("env", "COLOUR=red", "/opt/initfs", "telinit", "maintenance").returncode == 9
        assert machine.run("telinit").returncode == 100
        assert machine.run("telinit", "6").returncode in (
            0,
            -signal.SIGTERM,
        )  # the end it asked for may be quicker
        assert machine.wait_end() == -signal.SIGHUP
        assert (machine.host / "levels").read_text() == "maintenance\n6\n"
        assert "COLOUR" not in (machine.host / "environment").read_text()


def test_the_keyboard_s_signal_reboots_a_made_machine_unless_shutdown_allow_forbids_it(
    tmp_path: Path,
) -> None:
    # INI-212 (partly) INI-208 (partly)
    machine = Machine(tmp_path, made=["-G", "sleep 1000"], rc_shutdown="echo here >/host/rc.shutdown")
    allow = machine.root / "etc/shutdown.allow"
    allow.write_text("nobody-here\n")
    with machine:
        machine.wait_for("up", "early-getty")
        machine.wait_for("booted")
        for name in ("TERM", "QUIT", "WINCH"):
            machine.signal(name)
        assert machine.run("shutdown", "-a", "-r", "now").returncode == 1
        machine.signal("INT")
        wait_until(lambda: "nobody who is logged in" in machine.console + log(machine), "the refusal")
        allow.unlink()
        machine.signal("INT")
        assert machine.wait_for("stopping")["reason"] == "reboot"
        assert machine.wait_end() == -signal.SIGHUP
        assert (machine.host / "rc.shutdown").exists()


def log(machine: Machine) -> str:
    return Path(f"/proc/{machine.pid}/root/run/uncaught-logs/current").read_text()


def test_a_container_s_exit_code_is_that_of_its_command(tmp_path: Path) -> None:
    # INI-217 (partly)
    machine = Machine(tmp_path, made=["-C", "-f", "/nowhere", "-N"], words=("sh", "-c", "a=7; exit $a"))
    with machine:
        assert machine.wait_end() == 7


def test_a_container_ends_with_0_on_term_and_writes_without_a_catch_all_to_its_own_output(
    tmp_path: Path,
) -> None:
    # INI-217
    machine = Machine(
        tmp_path, rc_init="echo hello; initfs svstat /run/service/.", made=["-C", "-B", "-N", "-S"]
    )
    with machine:
        machine.wait_for("booted")
        machine.signal("TERM")
        assert machine.wait_for("stopping")["reason"] == "halt"
        assert machine.wait_end() == 0


def test_a_container_waits_for_who_holds_its_descriptor(tmp_path: Path) -> None:
    # INI-217 (partly)
    reading, writing = os.pipe()
    machine = Machine(tmp_path, made=["-C", "-N", "-W", str(reading)], rc_init="echo $? >/host/began")
    machine.inherited = (reading,)
    os.set_inheritable(reading, True)

    def let_it_begin() -> None:
        os.close(reading)
        os.close(writing)

    machine.before_connecting = let_it_begin
    with machine:
        machine.wait_for("booted")
        assert (machine.host / "began").exists()


def test_every_process_of_a_machine_descends_from_a_service(tmp_path: Path) -> None:
    # INI-204
    forker = "#!/bin/sh\nsleep 1000 &\nexec sleep 1000\n"
    with Machine(tmp_path, {"forker": forker, "logged": forker}) as machine:
        machine.wait_for("up", "logged")
        machine.wait_for("booted")
        names = machine.inside("sh", "-c", "echo /run/service/*").stdout.split()
        services = {int(machine.run("svstat", "-p", name).stdout) for name in names}
        table = machine.inside("ps", "-eo", "pid=,ppid=,args=").stdout.splitlines()
        parents = {int(line.split()[0]): int(line.split()[1]) for line in table}
        for pid, parent in parents.items():
            above = pid
            while parents.get(above, 0) not in (0, 1):
                above = parents[above]
            assert parent == 0 or above in services or pid == 1, table


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        make("-1", "-L", "-G", "getty 38400 tty1", "-e", "LANG=C", f"{folder}/i")
        GOLDEN.write_text(listing(Path(folder) / "i"))
