"""When a board last booted and passed: a record that test runs leave in build/, and `inv boards` shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from board import host

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A board that booted."""

    date: str  # ISO 8601
    kernel: str  # uname -r
    seconds: float  # from start of the machine to ready


def place(board: str, chain: str) -> Path:
    """Return the record's file."""
    name = "verified.json" if chain == "direct" else f"verified-{chain}.json"
    return host.ROOT / "build" / board / name


def record(board: str, chain: str, verified: Verified) -> None:
    """Keep that a board was verified by one of its boot chains. Called by the tests that boot it."""
    host.replace(place(board, chain), json.dumps(asdict(verified)).encode())


def last(board: str, chain: str = "direct") -> Verified | None:
    """Return the last record of a board's chain, or None: never, or the record cannot be read."""
    try:
        fields = json.loads(place(board, chain).read_text())
        return Verified(
            date=str(fields["date"]), kernel=str(fields["kernel"]), seconds=float(fields["seconds"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
