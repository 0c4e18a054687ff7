"""A child that is started when there is no memory for its number is found, and ended."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.process.tree import ROOT

ALLOCATIONS = 60  # more than a start asks for

PROGRAM = f"""
import os, signal, _testcapi
from initfs import process

def children():
    with open(f"/proc/self/task/{{os.getpid()}}/children") as listed:
        return [int(word) for word in listed.read().split()]

older = process.spawn("/bin/sleep", ["sleep", "999"], {{}})
process.claimed()
failed = lost = 0
for nth in range({ALLOCATIONS}):
    pid = 0
    _testcapi.set_nomemory(nth, nth + 1)
    try:
        pid = process.spawn("/bin/sleep", ["sleep", "999"], {{}}, descriptors=[(0, 0)])
    except MemoryError:
        failed += 1
    finally:
        _testcapi.remove_mem_hooks()
    lost += not pid and len(children()) == 2
    process.end_unclaimed()
    for child in children()[1:]:
        os.waitpid(child, 0)
    assert os.waitpid(older, os.WNOHANG) == (0, 0), nth
os.kill(older, signal.SIGKILL)
print(failed, lost)
"""


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
def test_a_child_whose_number_nobody_was_told_is_ended_and_no_other_one() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stderr
    failed, lost = map(int, found.stdout.split())
    assert failed > lost > 0, "each allocation of a start has failed, and one of them came after the child"
