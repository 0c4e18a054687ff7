"""Fault campaigns on the tree: each system call, and any allocation, failing once; a clock that jumps by decades. A few rounds here; `inv test --faults` does many.

The seed is printed when a test fails; INITFS_SEED takes one, INITFS_ROUNDS multiplies the rounds.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.process.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FACTOR = int(os.environ.get("INITFS_ROUNDS", "1"))


def campaign(base: Path, what: str, rounds: int) -> str:
    """Run one in a process of its own; returns what it says."""
    seed = os.environ.get("INITFS_SEED") or str(time.time_ns() % 1_000_000)
    command = [sys.executable, "-m", "tests.process.fault_world", str(base), what, seed, str(rounds * FACTOR)]
    found = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110 * FACTOR
    )
    assert found.returncode == 0, f"seed {seed}: {found.stdout}{found.stderr[-3000:]}"
    return found.stdout


def test_each_system_call_may_fail_once_with_each_error_and_all_services_are_up_again(tmp_path: Path) -> None:
    # QUA-244 (partly)
    print(campaign(tmp_path, "calls", 1))


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
def test_any_allocation_may_fail_and_all_services_are_up_again(tmp_path: Path) -> None:
    # QUA-244 (partly)
    print(campaign(tmp_path, "memory", 40))


def test_a_clock_that_jumps_50_years_both_ways_disturbs_no_service_and_no_deadline(tmp_path: Path) -> None:
    # QUA-244 (partly)
    print(campaign(tmp_path, "clock", 50))
