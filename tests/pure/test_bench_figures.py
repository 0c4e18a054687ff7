"""The benchmark's numbers: medians, ratios, and what is shown of things that were not measured."""

from __future__ import annotations

import pytest

from bench import figures
from bench.figures import Sample
from bench.tasks import numbers
from board.host import Failure


def sample(suite: str, all_: float, *, count: int = 10, down: float | None = None, **more: object) -> Sample:
    values: dict[str, object] = {
        "load": 1.0,
        "first": 1.0,
        "commandable": None,
        "cpu": 5.0,
        "processes": 1,
        "pss": 100,
        "dirty": 50,
        "down": down,
    }
    return Sample(suite=suite, count=count, all=all_, **{**values, **more})  # type: ignore[arg-type]


def test_rows_come_by_number_and_then_in_the_order_of_the_suites() -> None:
    samples = [sample("b", 1, count=100), sample("b", 1), sample("a", 1), sample("a", 1, count=100)]
    assert [(row.count, row.suite) for row in figures.rows(samples)] == [
        (10, "b"),
        (10, "a"),
        (100, "b"),
        (100, "a"),
    ]


def test_a_row_has_the_median_and_the_ends() -> None:
    (row,) = figures.rows([sample("a", 30), sample("a", 10), sample("a", 20)])
    assert (row.all.median, row.all.least, row.all.most, row.runs) == (20, 10, 30, 3)
    assert str(row.all) == "20.0 (10.0-30.0)"


def test_restarts_of_all_runs_count_together_and_the_quietest_idleness() -> None:
    (row,) = figures.rows(
        [sample("a", 1, restarts=(1.0, 5.0), idle=4), sample("a", 1), sample("a", 1, restarts=(3.0,), idle=2)]
    )
    assert row.restart is not None
    assert (row.restart.median, row.restarts, row.idle) == (3.0, 3, 2)


def test_what_was_not_measured_has_no_number() -> None:
    (row,) = figures.rows([sample("a", 1)])
    assert (row.restart, row.down, row.idle, row.commandable) == (None, None, None, None)
    assert figures.ratio(None, row.all) is None
    assert figures.ratio(row.all, None) is None
    assert figures.ratio(1.0, 0.0) is None


def test_ratios_are_to_the_floor_and_to_s6_of_the_same_number() -> None:
    rows = figures.rows(
        [
            sample("floor", 10),
            sample("initfs", 15, down=5),
            sample("s6", 30, down=20, pss=200),
            sample("floor", 1, count=20),
        ]
    )
    ratios = figures.ratios(rows[1], rows)
    assert ratios == {"all/floor": 1.5, "all/s6": 0.5, "pss/s6": 0.5, "down/s6": 0.25}


def test_the_table_has_every_row_and_dashes_for_nothing() -> None:
    rows = figures.rows([sample("floor", 10), sample("initfs", 123.4, restarts=(0.5,))])
    text = figures.table(rows, "title")
    assert text.startswith("title")
    ours = next(line for line in text.splitlines() if "initfs" in line)
    assert "123 (123-123)" in ours
    assert "0.5 (0.5-0.5)" in ours
    assert "12.34" in ours
    assert " - " in ours


def test_the_document_carries_ratios() -> None:
    (one,) = figures.document(figures.rows([sample("floor", 10)]))
    assert one["suite"] == "floor"
    assert one["ratios"] == {"all/floor": 1.0, "all/s6": None, "pss/s6": None, "down/s6": None}


def test_counts_are_numbers_with_commas() -> None:
    assert numbers("10, 100,") == [10, 100]
    for text in ("ten", "0", "-1", "1.5"):
        with pytest.raises(Failure) as wrong:
            numbers(text)
        assert wrong.value.usage
