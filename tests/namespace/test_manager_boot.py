from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from board import definitions
from board.host import Failure
from board.ours import Sources
from board.tree import File, Link
from tests.namespace.machine import ROOT, Machine
from tests.process.manager_world import write_service

if TYPE_CHECKING:
    from pathlib import Path

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root")
SECTION = {  # where it begins and ends
    "rc.init": ("# The service manager", "\ndone\n"),
    "rc.shutdown": ("# The service manager's", "\nfi\n"),
}


def section(name: str) -> str:
    """What stage 2, or 3, of an image does with the service manager; the rest of these scripts needs a board."""
    text = (ROOT / "services" / name).read_text()
    first, last = SECTION[name]
    begin = text.index(first)
    end = text.index(last, begin) + len(last)
    return f"PATH=/host/bin:$PATH\n{text[begin:end]}"


def definitions_in(source: Path) -> None:
    """first <- second <- web; all of it is the bundle `default`."""
    for name, needs in (("first", []), ("second", ["first"])):
        scripts = {which: f"#!/bin/sh\necho {which} {name} >>/host/journal\n" for which in ("up", "down")}
        write_service(source, name, "oneshot", scripts, needs)
    web = {
        "run": "echo up web >>/host/journal; echo >&3; exec sleep 1000 3>&-",
        "finish": "echo down web >>/host/journal",
        "notification-fd": "3\n",
    }
    write_service(source, "web", "longrun", web, ["second"])
    write_service(source, "default", "bundle", {"contents": "web\n"})
    write_service(source, "little", "bundle", {"contents": "first\n"})


def prepared(tmp_path: Path, level: str = "") -> Machine:
    """A machine with a database, and our programs where its scripts find them. LEVEL: as if the kernel's command line said so."""
    told = f"set -- {level}\n" if level else ""
    machine = Machine(tmp_path, rc_init=told + section("rc.init"), rc_shutdown=section("rc.shutdown"))
    programs = machine.host / "bin"
    programs.mkdir()
    python = os.path.realpath(sys.executable)
    for name in ("rc", "rc-init"):
        path = programs / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {python} -sSP -m initfs.main {name} "$@"\n')
        path.chmod(0o755)
    definitions_in(tmp_path / "source")
    place = machine.root / "etc/s6-rc/compiled"
    place.mkdir(parents=True)
    definitions.compile_(tmp_path / "source", place / "image")
    (place / "current").symlink_to("image")
    return machine


@needs_root
def test_stage_2_brings_up_the_bundle_default_and_the_end_brings_all_down_in_reverse_order(
    tmp_path: Path,
) -> None:
    # SM-181 (partly) SM-175 (partly)
    with prepared(tmp_path) as machine:
        machine.wait_for("booted")
        journal = machine.host / "journal"
        assert journal.read_text().splitlines() == ["up first", "up second", "up web"]
        assert machine.run("rc", "-a", "list").stdout.split() == [
            "s6rc-oneshot-runner",
            "web",
            "first",
            "second",
        ]
        assert machine.run("svstat", "-u", "/run/service/web").stdout == "true\n"
        journal.write_text("")
        machine.run("poweroff")
        assert machine.wait_end() == -signal.SIGINT
        assert journal.read_text().splitlines() == ["down web", "down second", "down first"]


@needs_root
def test_without_a_database_stages_2_and_3_are_as_ever(tmp_path: Path) -> None:
    machine = prepared(tmp_path)
    shutil.rmtree(machine.root / "etc/s6-rc")
    with machine:
        assert "256" not in machine.wait_for("booted").get("reason", "")
        machine.run("poweroff")
        assert machine.wait_end() == -signal.SIGINT
        assert not (machine.host / "journal").exists()
        assert "rc" not in (machine.host / "catch-all").read_text()


@needs_root
def test_a_service_of_default_that_fails_does_not_keep_the_machine_from_booting(tmp_path: Path) -> None:
    machine = prepared(tmp_path)
    (machine.root / "etc/s6-rc/compiled/image/scripts/second/up").write_text("#!/bin/sh\nexit 1\n")
    with machine:
        machine.wait_for("booted")
        assert machine.run("rc", "-a", "list").stdout.split() == ["s6rc-oneshot-runner", "first"]
        machine.run("reboot")
        assert machine.wait_end() == -signal.SIGHUP


@needs_root
@pytest.mark.parametrize(("level", "up"), [("little", ["first"]), ("misspelt", ["web", "first", "second"])])
def test_the_kernels_command_line_names_another_bundle_and_a_name_that_nobody_knows_is_default(
    tmp_path: Path, level: str, up: list[str]
) -> None:
    with prepared(tmp_path, level) as machine:
        machine.wait_for("booted")
        assert machine.run("rc", "-a", "list").stdout.split() == ["s6rc-oneshot-runner", *up]


@needs_root
@pytest.mark.parametrize("damaged", [False, True])
def test_a_database_on_the_data_partition_comes_first_unless_it_cannot_be_used(
    tmp_path: Path, damaged: bool
) -> None:
    # SM-197 (partly)
    machine = prepared(tmp_path)
    own, image = machine.root / "data/s6-rc", machine.root / "etc/s6-rc/compiled/image"
    shutil.copytree(image, own / "set.0")
    (own / "current").symlink_to("set.0")
    (own / "set.0/scripts/first/up").write_text("#!/bin/sh\necho mine >>/host/journal\n")
    if damaged:
        (own / "set.0/db").write_bytes(b"initfs-rc 1")
    with machine:
        machine.wait_for("booted")
        assert machine.inside("readlink", "/run/s6-rc/compiled").stdout.startswith(
            "/etc/s6-rc" if damaged else "/data/s6-rc"
        )
        assert (machine.host / "journal").read_text().split()[0] == ("up" if damaged else "mine")


def test_an_image_gets_a_database_of_the_definitions_among_the_services(tmp_path: Path) -> None:
    sources = Sources(services=tmp_path)
    assert list(definitions.records(sources)) == []
    definitions_in(tmp_path / "definitions")
    found = {record.path: record for record in definitions.records(sources)}
    assert isinstance(found["/etc/s6-rc/compiled/current"], Link)
    run = found["/etc/s6-rc/compiled/image/servicedirs/web/run"]
    assert isinstance(run, File)
    assert run.mode == 0o755
    up = found["/usr/share/initfs/definitions/first/up"]
    assert isinstance(up, File)
    assert up.data.startswith(b"#!/bin/sh\n")
    again = {record.path: record for record in definitions.records(sources)}
    assert again == found, "the same bytes each time"


def test_the_definitions_of_this_repository_are_sound() -> None:
    found = {record.path for record in definitions.records(Sources())}
    assert "/etc/s6-rc/compiled/image/db" in found
    assert "/usr/share/initfs/definitions/base/contents.d/data" in found
    assert "/usr/share/initfs/definitions/default" not in found, "a set has its own"
    assert not [path for path in found if path.endswith("README.md")]


def test_wrong_definitions_are_an_error_of_the_build(tmp_path: Path) -> None:
    write_service(tmp_path / "definitions", "a", "oneshot", {"up": "{"}, ["nobody"])
    with pytest.raises(Failure) as failed:
        list(definitions.records(Sources(services=tmp_path)))
    assert "a/up: line 1: unmatched {" in str(failed.value)
    assert "undefined: nobody" in str(failed.value)
    write_service(tmp_path / "definitions", "a", "oneshot", {"up": ""})
    shutil.rmtree(tmp_path / "definitions/a/dependencies.d")
    with pytest.raises(Failure, match="no bundle default"):
        list(definitions.records(Sources(services=tmp_path)))


def test_the_scripts_of_the_stages_are_valid_shell() -> None:
    for name in SECTION:
        assert subprocess.run(["sh", "-n", ROOT / "services" / name], check=False).returncode == 0
