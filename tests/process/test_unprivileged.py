"""Without root: a part of each group's tests, in a user namespace in which we are nobody in particular.

All of them: `unshare --user --map-user=1000 --map-group=1000 .venv/bin/pytest tests/process`; what needs root is skipped there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNPRIVILEGED = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
GROUPS = {
    "supervision": (
        "test_supervise_life.py::test_the_environment_is_the_same_at_every_start_and_in_finish",
        "test_supervise_life.py::test_an_explicit_start_does_not_wait",
        "test_supervise_logger.py",
    ),
    "logging": (
        "test_log_svlog.py::test_lines_go_to_the_directories_that_the_script_selects",
        "test_log_svlog.py::test_an_alarm_and_a_period_rotate",
        "test_log_ends.py::test_a_directory_has_one_logger",
    ),
    "notification": ("test_notify_fifodir.py",),
    "local services": (
        "test_local_ipc.py::test_fifty_clients_at_once_are_all_served",
        "test_local_ipc.py::test_the_server_knows_who_connects_unless_it_is_not_to_ask",
        "test_local_fdholder.py::test_a_descriptor_is_stored_listed_retrieved_and_deleted",
    ),
    "service manager": (
        "test_manager_change.py::test_services_come_up_after_what_they_need_and_go_down_before_it",
        "test_manager_change.py::test_a_failure_holds_up_only_what_needs_it",
    ),
}


def refused() -> bool:
    return subprocess.run([*UNPRIVILEGED, "true"], capture_output=True, check=False).returncode != 0


@pytest.mark.skipif(refused(), reason="no user namespaces here")
@pytest.mark.parametrize("group", GROUPS)
def test_each_group_works_without_root(group: str, tmp_path: Path) -> None:
    # QUA-243
    chosen = [f"tests/process/{name}" for name in GROUPS[group]]
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-m", "pytest", *options, *chosen],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert " passed" in done.stdout
