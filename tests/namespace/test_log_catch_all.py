"""The catch-all logger of the repository under a real process 1: what it reads, and where it complains when its directory is broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.namespace.machine import ROOT, Machine, wait_until

RUN = (ROOT / "services/svscan-log/run").read_text()
TALKER = "#!/bin/sh\necho a line of a talker\nexec sleep 1000\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with the service as it is; it finds our program by its PATH, and the account is root's there."""
    machine = Machine(tmp_path, {"talker": TALKER})
    shebang, rest = RUN.split("\n", 1)
    (machine.root / "etc/initfs/early/svscan-log/run").write_text(f"{shebang}\nPATH=/opt:$PATH\n{rest}")
    (machine.root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nlogger:x:0:0::/:/bin/sh\n")
    (machine.root / "etc/group").write_text("root:x:0:\n")
    program = machine.root / "opt/initfs"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -sSP -m initfs.main "$@"\n')
    program.chmod(0o755)
    return machine


def inside(machine: Machine, path: str) -> Path:
    return Path(f"/proc/{machine.pid}/root{path}")


def test_what_has_no_logger_of_its_own_is_in_the_catch_all_log(machine: Machine) -> None:
    # LOG-119 LOG-120
    with machine:
        machine.wait_for("booted")
        current = inside(machine, "/run/uncaught-logs/current")
        line = wait_until(
            lambda: [
                line for line in current.read_text().splitlines() if line.endswith("  a line of a talker")
            ],
            "the line",
        )[0]
        assert line[4:5] == "-"
        assert "svlog" not in machine.console


def test_a_catch_all_logger_that_cannot_log_says_so_on_the_console_and_loses_nothing(
    machine: Machine,
) -> None:
    # LOG-119
    whole = "run/initfs run/service run/uncaught-logs\n"
    assert whole in machine.stage
    machine.stage = machine.stage.replace(whole, "run/initfs run/service\n: >run/uncaught-logs\n")
    with machine:
        machine.wait_for("booted")
        wait_until(
            lambda: "svlog: fatal: unable to use the log directory /run/uncaught-logs: " in machine.console,
            "the complaint",
        )
        inside(machine, "/run/uncaught-logs").unlink()
        inside(machine, "/run/uncaught-logs").mkdir()
        current = inside(machine, "/run/uncaught-logs/current")
        wait_until(
            lambda: current.exists() and "  a line of a talker\n" in current.read_text(), "the talker's line"
        )
