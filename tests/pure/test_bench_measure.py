"""How the benchmark reads what the kernel says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench import measure, suites, trial
from board.host import Failure

if TYPE_CHECKING:
    from pathlib import Path


def test_descendants_are_found_whatever_the_order_and_strangers_are_not() -> None:
    parents = {5: 4, 1: 0, 4: 2, 2: 1, 3: 1, 9: 8}
    assert measure.descendants(parents, 2) == {2, 4, 5}
    assert measure.descendants(parents, 7) == {7}


def test_a_parent_is_found_behind_any_name() -> None:
    assert measure.parent("42 (a) (b) 7) S 41 42 42 0") == 41


def test_fields_are_lines_with_a_number() -> None:
    text = "Name:\tx y\nPss:      12 kB\nPrivate_Dirty:       4 kB\nvoluntary_ctxt_switches:\t7\n"
    assert measure.fields(text) == {"Pss": 12, "Private_Dirty": 4, "voluntary_ctxt_switches": 7}


def test_a_process_that_has_ended_counts_nothing() -> None:
    gone = [2**22 + 1]  # above any pid_max
    assert measure.memory(gone) == measure.Memory(0, 0)
    assert measure.switches(gone) == 0
    assert measure.on_cpu(gone) == 0


def test_the_kernel_is_understood() -> None:
    me = os.getpid()
    assert measure.parents()[me] == os.getppid()
    assert measure.memory([me]).pss > 1000
    assert measure.switches([me]) > 0


def test_arrivals_are_whole_records() -> None:
    data = measure.RECORD.pack(5, 42) + measure.RECORD.pack(6, 43)
    assert measure.arrivals(data) == [measure.Arrival(5, 42), measure.Arrival(6, 43)]


def test_who_does_not_arrive_is_a_failure(tmp_path: Path) -> None:
    with measure.Arrivals(tmp_path / "fifo") as arrivals:
        fd = os.open(arrivals.path, os.O_WRONLY)
        os.write(fd, measure.RECORD.pack(5, 42))
        os.close(fd)
        with pytest.raises(Failure, match="1 of 2 daemons"):
            arrivals.wait(2, 0.05)


def test_victims_are_taken_from_all_over() -> None:
    assert trial.spread(list(range(100)), 4) == [0, 25, 50, 75]
    assert trial.spread([1, 2], 30) == [1, 2]
    assert trial.spread([], 30) == []


def test_suites_are_chosen_by_name() -> None:
    assert suites.choose("s6, floor") == ["s6", "floor"]
    assert suites.choose("all") == list(suites.SUITES)
    assert set(suites.choose(suites.DEFAULT)) < set(suites.SUITES)
    with pytest.raises(Failure) as wrong:
        suites.choose("systemd")
    assert wrong.value.usage


def test_supervisord_gets_every_service(tmp_path: Path) -> None:
    for name in ("s0", "s1"):
        (tmp_path / name).mkdir()
    text = suites.configuration(tmp_path)
    assert f"[program:s0]\ncommand={tmp_path}/s0/run\ndirectory={tmp_path}/s0\n" in text
    assert text.count("[program:") == 2
