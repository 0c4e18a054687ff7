"""Budgets of our tree, in seconds: what it may cost with a few hundred services. `inv bench supervise` has the numbers.

Memory and idleness are the same on any machine; the time has a generous limit, as other tests run beside this one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bench import measure, suites
from bench.trial import Trial, place
from board.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY, FEW, MORE = 200, 100, 1000
PSS, DIRTY = 10_000, 6_000  # kB
GROWTH = 2.0  # kB for each service
IDLE = 3.0  # seconds
TIMES_THE_FLOOR = 3.0
TRIES = 8  # at most: other programs run beside this one
SLEEPS = re.compile(r"^State:\s+S", re.MULTILINE)


def tree(name: str, count: int) -> Iterator[Trial]:
    """A suite with so many services, at rest."""
    with Report("quiet") as report:
        suite = suites.SUITES[name](report)
    with place() as folder, Trial(suite, count, folder, suites.compiled("daemon")) as found:
        found.settle()
        yield found


def memory(count: int) -> measure.Memory:
    for found in tree("initfs", count):
        return measure.memory(found.supervisors())
    raise AssertionError


def asleep(pid: int) -> bool:
    return bool(SLEEPS.search(measure.read(measure.PROC / str(pid) / "status")))


@pytest.fixture(name="ours")
def _ours() -> Iterator[Trial]:
    yield from tree("initfs", MANY)


def test_one_process_of_bounded_memory(ours: Trial) -> None:
    assert ours.supervisors() == [ours.root]
    found = measure.memory([ours.root])
    assert 0 < found.pss <= PSS
    assert 0 < found.dirty <= DIRTY


def test_every_service_has_its_files_when_the_tree_is_at_rest(ours: Trial) -> None:
    assert ours.commandable() is not None


def test_an_idle_tree_makes_no_system_call(ours: Trial) -> None:
    """Who was asleep, is asleep, and was not switched in between, has made none."""
    assert asleep(ours.root)
    assert ours.idle(IDLE) == 0
    assert asleep(ours.root)


def test_a_service_costs_little_memory() -> None:
    few, more = memory(FEW), memory(MORE)  # its own pages: what is shared depends on who else runs Python now
    assert (more.dirty - few.dirty) / (MORE - FEW) <= GROWTH


def once(name: str) -> float:
    for found in tree(name, MANY):
        return found.all
    raise AssertionError


def test_services_start_nearly_as_fast_as_anything_can_start_them() -> None:
    tries: list[float] = []
    while len(tries) < TRIES and min(tries, default=TIMES_THE_FLOOR + 1) > TIMES_THE_FLOOR:
        floor = once("floor")
        tries.append(once("initfs") / floor)
    assert min(tries) <= TIMES_THE_FLOOR, tries


def test_it_ends_with_all_that_it_started(ours: Trial) -> None:
    assert ours.down() is not None
