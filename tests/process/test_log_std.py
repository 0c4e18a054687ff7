"""The logger that a `log/run` of one line starts."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.process.log_world import until
from tests.process.tree import ROOT, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = "/usr/bin/python3"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may look into, with the package in it."""
    path = Path(tempfile.mkdtemp(prefix="log"))
    path.chmod(0o755)
    shutil.copytree(ROOT / "initfs", path / "lib/initfs", ignore=shutil.ignore_patterns("__pycache__"))
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(not Path(PYTHON).exists(), reason="there is no Python that every user may run")
def test_a_log_run_of_one_line_logs_for_the_log_user(place: Path) -> None:
    # LOG-122
    user = "nobody" if os.geteuid() == 0 else Path(place).owner()
    with Tree(place) as tree:
        tree.environment |= {"STD_LOG_ROOT": str(place / "root/service"), "STD_LOG_USER": user}
        tree.add("a", "echo hello; exec sleep 999")
        tree.add("a/log", f"PYTHONPATH={place}/lib exec {PYTHON} -S -m initfs.main std_service_logger")
        tree.start()
        current = place / "root/service/a/current"
        until(lambda: current.exists() and current.read_bytes().endswith(b" hello\n"))
        assert re.fullmatch(rb"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{5} hello\n", current.read_bytes())
        assert (tree.scandir / "a/log/logdir").resolve() == current.parent
        assert current.parent.stat().st_mode & 0o77 == 0
        assert current.owner() == user
        limits = Path(f"/proc/{tree.status('a/log').pid}/limits").read_text()
        assert limits.partition("Max address space")[2].split()[0].isdigit()
        tree.send("a/log", "t")
        tree.wait_for("down", "a/log")
        until(lambda: current.stat().st_mode & 0o100 == 0)
        viewer = {**tree.environment, "SVDIR": str(tree.scandir), "PAGER": "cat"}
        assert tree.ours("svpage", "a", env=viewer).stdout.endswith(" hello\n")
        assert tree.stop() == 0
