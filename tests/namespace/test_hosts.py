"""The ordinary tree where others are process 1, or where it is itself, without any image of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.namespace.machine import wait_until
from tests.process.tree import ROOT, Tree
from tests.process.waiting import children, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ROOT / "docs/examples"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_example_unit(tmp_path: Path) -> None:
    # SUP-027
    unit = tmp_path / "initfs.service"
    shutil.copy(EXAMPLES / "initfs.service", unit)
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "initfs.service" not in found.stderr


def test_what_the_inittab_line_runs_is_a_tree_that_comes_back_and_adopts(tmp_path: Path) -> None:
    # SUP-027
    line = next(text for text in (EXAMPLES / "inittab").read_text().splitlines() if text.startswith("SV:"))
    _, _, action, command = line.split(":")
    assert action == "respawn"
    assert command.split()[1:4] == ["initfs", "svscan", "-w"]
    with Tree(tmp_path, *command.split()[3:-1]) as tree:
        tree.add("web")
        pid = tree.start().wait_for("up", "web")["pid"]
        tree.wait_furnished("web")
        assert tree.process is not None
        tree.process.kill()
        tree.process.wait()
        assert tree.start().wait_for("up", "web")["pid"] == pid


@pytest.fixture
def container(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """svscan as process 1 of a pid and mount namespace: what a container is, where no container engine runs."""
    service = tmp_path / "scan/web"
    service.mkdir(parents=True)
    run = service / "run"
    run.write_text("#!/bin/sh\n(true & exec true) &\n>started\nexec sleep 999\n")
    run.chmod(0o755)
    finish = tmp_path / "scan/.svscan/finish"
    finish.parent.mkdir()
    finish.write_text("#!/bin/sh\nls /proc | grep -c '^[0-9]*$' >left\n")
    finish.chmod(0o755)
    os.mkfifo(tmp_path / "ready")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from initfs.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "svscan", "-w", "-d", "3", str(tmp_path / "scan")]
    unshare = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child"]
    with (
        subprocess.Popen(["sh", "-c", 'exec 3>"$0" "$@"', tmp_path / "ready", *unshare, *command]) as process,
        (tmp_path / "ready").open() as ready,
    ):
        assert ready.readline() == "\n"
        yield process
        process.kill()


@needs_root
def test_as_process_1_of_a_container_it_reaps_ends_on_term_and_becomes_finish(
    container: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    # SUP-026 SUP-028
    wait_exists(tmp_path / "scan/web/started")
    (svscan,) = children(container.pid)
    wait_until(lambda: len(children(svscan)) == 1, "only sleep left: the orphans are reaped")
    os.kill(svscan, 15)
    assert container.wait(20) == 0
    assert int((tmp_path / "scan/left").read_text()) <= 4, "finish, its ls and grep, and nobody else"
