"""Live upgrade: our package is replaced by another version while process 1 runs it, and then process 1 executes itself anew."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from initfs.supervise import luggage
from tests.namespace.machine import BECOME, ROOT, Machine
from tests.namespace.test_init_renewal import LOGGER, SLEEPER, TALKER, pid

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
# The next version says so, and has modules that the former version's do not fit: who mixes the two fails.
CHANGES = {
    "supervise/scanner.py": ("executed anew:", "executed anew as version 2:"),
    "supervise/scan.py": ("\nfrom __future__ import annotations\n", "\nfrom __future__ import annotations\nSECOND = 2\n"),
    **dict.fromkeys(
        [f"supervise/{name}.py" for name in ("relocation", "mending", "adoption", "diagnosis", "kept", "sharing")],
        ("\nfrom __future__ import annotations\n", "\nfrom __future__ import annotations\nfrom initfs.supervise.scan import SECOND\n"),
    ),
}  # fmt: skip
OTHER_LUGGAGE = {"supervise/luggage.py": ("\nVERSION = ", "\nVERSION = 1 + ")}


def copy(target: Path, changes: dict[str, tuple[str, str]]) -> None:
    """Our package, changed."""
    shutil.copytree(ROOT / "initfs", target)
    for name, (old, new) in changes.items():
        text = (target / name).read_text()
        assert text.count(old) == 1, name
        (target / name).write_text(text.replace(old, new))


def replace(package: Path, new: Path) -> None:
    """Put the new one in the place of the old one, of which nothing is left: what a package manager does."""
    package.rename(package.with_name("former"))
    new.rename(package)
    shutil.rmtree(package.with_name("former"))


def machine_with(tmp_path: Path, changes: dict[str, tuple[str, str]]) -> Machine:
    """A machine whose process 1 comes from a package that can be replaced by a changed one, which lies beside it."""
    machine = Machine(tmp_path, {"web": SLEEPER, "idle": SLEEPER})
    log = machine.write_service("talker", TALKER) / "log"
    log.mkdir()
    (log / "run").write_text(LOGGER)
    (log / "run").chmod(0o755)
    copy(machine.host / "package/initfs", {})
    copy(machine.host / "package/next", changes)
    machine.become = f"import sys\nsys.path.insert(0, '/host/package')\n{BECOME}"
    return machine


def test_process_1_becomes_the_new_version_of_its_package_and_services_notice_nothing(tmp_path: Path) -> None:
    # QUA-244 (partly)
    machine = machine_with(tmp_path, CHANGES)
    with machine:
        machine.wait_for("booted")
        machine.wait_for("up", "idle")
        machine.wait_for("up", "talker/log")
        machine.run("svc", "-wD", "-d", "/run/service/idle")
        names = ("web", "talker", "talker/log")
        before = [pid(machine, name) for name in names]
        replace(machine.host / "package/initfs", machine.host / "package/next")
        machine.run("svscanctl", "--reexec", "/run/service")
        assert machine.wait_for("renewed")["reason"].startswith("executed anew as version 2:")
        assert [pid(machine, name) for name in names] == before
        assert pid(machine, "idle") == "-1", "it is still wanted down"
        assert machine.run("svc", "-wr", "-k", "/run/service/web").returncode == 0
        assert [event["seq"] for event in machine.events] == list(range(1, len(machine.events) + 1))
        machine.run("poweroff")
        machine.wait_end()
    *lines, last = (machine.host / "lines").read_bytes().split(b"\n")
    assert lines == [b"line %d" % number for number in range(len(lines))]
    assert b"line " in last or not last


def test_a_new_version_that_cannot_read_what_the_old_one_took_along_goes_by_the_files(tmp_path: Path) -> None:
    # QUA-244 (partly)
    machine = machine_with(tmp_path, CHANGES | OTHER_LUGGAGE)
    with machine:
        machine.wait_for("booted")
        up = {name: machine.wait_for("up", name)["pid"] for name in ("web", "talker", "talker/log")}
        replace(machine.host / "package/initfs", machine.host / "package/next")
        machine.run("svscanctl", "--reexec", "/run/service")
        machine.again()
        for name, number in up.items():
            adopted = machine.wait_for("up", name)
            assert (adopted["pid"], adopted["reason"]) == (number, "adopted")
        wrong = f"version {luggage.VERSION}, not {luggage.VERSION + 1}"
        assert wrong in machine.console + (machine.host / "catch-all").read_text()
        machine.run("poweroff")
        machine.wait_end()
