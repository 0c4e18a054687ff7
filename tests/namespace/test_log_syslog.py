"""The example services syslogd and klogd as they are, under a real process 1, with their accounts, `/dev/log` and `/proc/kmsg`."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.namespace.machine import ROOT, Machine, wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PASSWD = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nlogger:x:100:100::/:/bin/false\n"
GROUP = "root:x:0:\nnobody:x:65534:\nlogger:x:100:\n"
ITS_OWN = """mount -t tmpfs dev dev
for each in null zero urandom; do : >dev/$each; mount --bind /dev/$each dev/$each; done
mkfifo host/kmsg
mount --bind host/kmsg proc/kmsg
"""
FACILITIES = ("secure", "cron", "daemon", "kernel", "mail", "user", "debug", "errors", "messages")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a /dev and kernel messages of its own."""
    machine = Machine(tmp_path)
    for name in ("syslogd", "klogd"):
        shutil.copytree(ROOT / "services" / name, machine.root / "etc/initfs/early" / name)
    for path, text in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
        (machine.root / path).write_text(text)
    (machine.root / "var/log").mkdir(parents=True)
    (machine.root / "opt").mkdir()
    for name in ("initfs", "socklog", "ucspilogd"):  # links, on a board
        program = machine.root / "opt" / name
        words = f"{sys.executable} -sSP -m initfs.main {name.removeprefix('initfs')}"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {words} "$@"\n')
        program.chmod(0o755)
    given, mounted, path = "mount --rbind /dev dev\n", 'mount --bind "$4" host\n', "PATH=/usr/bin:/bin"
    assert all(part in machine.stage for part in (given, mounted, path))
    machine.stage = machine.stage.replace(given, "").replace(mounted, mounted + ITS_OWN)
    machine.stage = machine.stage.replace(path, f"{path}:/opt")
    return machine


def test_what_logger_and_the_kernel_say_is_in_sorted_directories(machine: Machine) -> None:
    # LOG-118
    with machine:
        machine.wait_for("ready", "syslogd")
        for priority, text in (
            ("mail.info", "a letter"),
            ("authpriv.notice", "a login"),
            ("daemon.err", "an error"),
            ("cron.debug", "a detail"),
            ("user.notice", "a word"),
        ):
            done = machine.inside("logger", "-p", priority, text)
            assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: logged(machine, "syslogd/messages").endswith(": a word\n"), "the last line")
        found = {name: logged(machine, f"syslogd/{name}") for name in FACILITIES}
        texts = {name: [line.split(": ", 2)[2] for line in text.splitlines()] for name, text in found.items()}
        assert texts == {
            "secure": ["a login"], "cron": ["a detail"], "daemon": ["an error"], "kernel": [], "mail": ["a letter"],
            "user": ["a word"], "debug": ["a detail"], "errors": ["an error"], "messages": ["a word"],
        }  # fmt: skip
        assert logged(machine, "syslogd/everything").count("\n") == 5
        assert "mail.info: " in machine.inside("grep", "letter", "/var/log/syslogd/mail/current").stdout
        assert owner(machine, "syslogd/mail/current") == 100
        assert machine.inside("stat", "-c", "%A", "/dev/log").stdout == "srwxrwxrwx\n"  # for everybody
        (machine.host / "kmsg").write_text("<6>[    0.000000] Linux version\n<3>[    1.5] a fault\n")
        wait_until(lambda: logged(machine, "klogd").count("\n") == 2, "the kernel's lines")
        kernel = [line.partition(" ")[2] for line in logged(machine, "klogd").splitlines()]
        assert kernel == ["kern.info: [    0.000000] Linux version", "kern.err: [    1.5] a fault"]
        assert owner(machine, "klogd/current") == 100


def logged(machine: Machine, name: str) -> str:
    """What the directory has; nothing as long as it is not there."""
    try:
        with open(f"/proc/{machine.pid}/root/var/log/{name}/current") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def owner(machine: Machine, name: str) -> int:
    return os.stat(f"/proc/{machine.pid}/root/var/log/{name}").st_uid
