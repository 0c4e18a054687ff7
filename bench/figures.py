"""Numbers of many runs: medians with their spread, ratios, and the table that people see. Nothing is measured here."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDTH = 150
FLOOR, PEER = "floor", "s6"


@dataclass(frozen=True, slots=True)
class Sample:
    """One supervisor, once. Times are milliseconds, memory is kB; None: has no such thing, or not measured."""

    suite: str
    count: int
    load: float  # of the machine, before
    first: float  # the first daemon began
    all: float  # the last one
    commandable: float | None  # the last service had its control files
    cpu: float  # of the supervisors on a processor, until nothing was left to do
    processes: int  # supervisors
    pss: int
    dirty: int
    down: float | None  # from the signal until no process was left
    idle: int | None = None  # context switches
    restarts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        """Return it as the table shows it."""
        return f"{short(self.median)} ({short(self.least)}-{short(self.most)})"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a suite at one number of services."""

    suite: str
    count: int
    runs: int
    load: float
    first: Spread
    all: Spread
    commandable: Spread | None
    cpu: Spread
    processes: int
    pss: float
    dirty: float
    idle: int | None
    restart: Spread | None
    restarts: int
    down: Spread | None


def short(number: float) -> str:
    """Return a number with the digits that mean something."""
    return f"{number:.1f}" if abs(number) < 100 else f"{number:.0f}"


def spread(numbers: Iterable[float | None]) -> Spread | None:
    """Return the median and the ends of those that there are."""
    found = [number for number in numbers if number is not None]
    return Spread(statistics.median(found), min(found), max(found)) if found else None


def surely(numbers: Sequence[float]) -> Spread:
    """Return the same for numbers that there are."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


def row(samples: Sequence[Sample]) -> Row:
    """Return what the samples of one suite and one number of services say together."""
    restarts = [time for sample in samples for time in sample.restarts]
    idle = [sample.idle for sample in samples if sample.idle is not None]
    return Row(
        suite=samples[0].suite,
        count=samples[0].count,
        runs=len(samples),
        load=round(statistics.mean(sample.load for sample in samples), 2),
        first=surely([sample.first for sample in samples]),
        all=surely([sample.all for sample in samples]),
        commandable=spread(sample.commandable for sample in samples),
        cpu=surely([sample.cpu for sample in samples]),
        processes=samples[0].processes,
        pss=statistics.median(sample.pss for sample in samples),
        dirty=statistics.median(sample.dirty for sample in samples),
        idle=min(idle) if idle else None,
        restart=spread(restarts),
        restarts=len(restarts),
        down=spread(sample.down for sample in samples),
    )


def rows(samples: Iterable[Sample]) -> list[Row]:
    """Return a row for each suite and number of services, in the order in which they first came, by number."""
    groups: dict[tuple[int, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.count, sample.suite), []).append(sample)
    return [row(groups[key]) for key in sorted(groups, key=lambda key: key[0])]


def ratio(mine: Spread | float | None, other: Spread | float | None) -> float | None:
    """Return how many times the other one's median mine is."""
    if mine is None or other is None:
        return None
    ours, theirs = (one.median if isinstance(one, Spread) else one for one in (mine, other))
    return round(ours / theirs, 2) if theirs else None


def ratios(one: Row, among: Iterable[Row]) -> dict[str, float | None]:
    """Return a row's ratios to the floor and to s6 with as many services."""
    peers = {other.suite: other for other in among if other.count == one.count}
    floor, peer = peers.get(FLOOR), peers.get(PEER)
    return {
        "all/floor": ratio(one.all, floor.all if floor else None),
        "all/s6": ratio(one.all, peer.all if peer else None),
        "pss/s6": ratio(one.pss, peer.pss if peer else None),
        "down/s6": ratio(one.down, peer.down if peer else None),
    }


def document(found: Sequence[Row]) -> list[dict[str, object]]:
    """Return the rows and their ratios for JSON."""
    return [{**asdict(one), "ratios": ratios(one, found)} for one in found]


COLUMNS: tuple[tuple[str, Callable[[Row, dict[str, float | None]], object]], ...] = (
    ("N", lambda row, _: row.count),
    ("suite", lambda row, _: row.suite),
    ("all exec'ed ms", lambda row, _: row.all),
    ("/floor", lambda _, ratios: ratios["all/floor"]),
    ("/s6", lambda _, ratios: ratios["all/s6"]),
    ("first ms", lambda row, _: short(row.first.median)),
    ("control ms", lambda row, _: row.commandable and short(row.commandable.median)),
    ("CPU ms", lambda row, _: short(row.cpu.median)),
    ("procs", lambda row, _: row.processes),
    ("PSS kB", lambda row, _: f"{row.pss:.0f}"),
    ("/s6", lambda _, ratios: ratios["pss/s6"]),
    ("dirty kB", lambda row, _: f"{row.dirty:.0f}"),
    ("idle ctxsw", lambda row, _: row.idle),
    ("restart ms", lambda row, _: row.restart),
    ("down ms", lambda row, _: row.down),
    ("/s6", lambda _, ratios: ratios["down/s6"]),
)


def table(found: Sequence[Row], title: str) -> str:
    """Return the table, medians (least-most)."""
    shown = Table(title=title, title_justify="left")
    for name, _ in COLUMNS:
        shown.add_column(name, justify="left" if name == "suite" else "right", no_wrap=True)
    for number, one in enumerate(found):
        theirs = ratios(one, found)
        cells = ["-" if (cell := show(one, theirs)) is None else str(cell) for _, show in COLUMNS]
        last = number + 1 == len(found) or found[number + 1].count != one.count
        shown.add_row(*cells, end_section=last)
    return drawn(shown)


def drawn(table: Table) -> str:
    """Return a table as text, wide enough for all of its columns."""
    console = Console(width=WIDTH + 60, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
