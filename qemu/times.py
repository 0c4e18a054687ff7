"""When things happened in a boot, from its events. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu.events import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qemu.events import Event

# Column: event and service. The times are seconds since the kernel started.
COLUMNS: dict[str, tuple[str, str | None]] = {
    "init": ("stage1", None),
    "python": ("python", None),
    "tree": ("tree", None),
    "getty": ("ready", "getty"),
    "lease": ("ready", "dhcp_eth0"),
    "booted": ("booted", None),
}


def times(events: Iterable[Event]) -> dict[str, float]:
    """Return the seconds of each milestone that there was."""
    history = History()
    for event in events:
        history.add(event)
    found = {name: history.find(event, service) for name, (event, service) in COLUMNS.items()}
    return {name: round(event.time, 3) for name, event in found.items() if event}


def table(rows: Mapping[str, Mapping[str, float | str]], columns: Sequence[str]) -> str:
    """Return rows by name as text in columns; a value that is missing is a dash."""
    cells = [
        ["", *columns],
        *([name, *(show(row.get(column)) for column in columns)] for name, row in rows.items()),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            fit(text, width, first=not i) for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def show(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.2f}"


def fit(text: str, width: int, *, first: bool) -> str:
    return text.ljust(width) if first else text.rjust(width)
