"""A root on which nothing can be written: the tree lives in /run, and nowhere else."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import STAGE, Machine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
READ_ONLY = """
mount --rbind . .
cd "$1"
mount -o remount,bind,ro .
mount -o remount,bind,ro tmp
exec /usr/sbin/chroot . /init
"""


def test_with_a_read_only_root_all_is_in_run(tmp_path: Path) -> None:
    # QUA-245
    machine = Machine(tmp_path, {"web": "#!/bin/sh\necho web speaks\nexec 2>&1 sleep 1000\n"})
    machine.write_service("web/log", "#!/bin/sh\nexec cat >/run/web.log\n")
    machine.stage = STAGE.replace("exec /usr/sbin/chroot . /init\n", READ_ONLY)
    with machine:
        machine.wait_for("booted")
        assert machine.inside("touch", "/probe", "/tmp/probe", "/etc/probe").stderr.count("Read-only") == 3
        first = machine.wait_for("up", "web")["pid"]
        assert machine.run("svc", "-wR", "-T9000", "-r", "/run/service/web").returncode == 0
        assert f"pid {first} " not in machine.run("svstat", "/run/service/web").stdout
        assert machine.run("svc", "-wD", "-T9000", "-D", "/run/service/web").returncode == 0
        assert machine.inside("ls", "/run/service/web/down").returncode == 0
        assert machine.inside("cat", "/run/web.log").stdout == 2 * "web speaks\n"
        assert machine.console == ""
        machine.run("poweroff")
        assert machine.wait_end() == -signal.SIGINT
