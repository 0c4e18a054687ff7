"""When a board last booted and passed: a record that test runs leave in build/, and `inv boards` shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from board import host


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A board that booted."""

    date: str  # ISO 8601
    kernel: str  # uname -r
    seconds: float  # from start of the machine to ready


def record(board: str, verified: Verified) -> None:
    """Keep that a board was verified. Called by the tests that boot it."""
    host.replace(host.ROOT / "build" / board / "verified.json", json.dumps(asdict(verified)).encode())


def last(board: str) -> Verified | None:
    """Return the last record of a board, or None: never, or the record cannot be read."""
    try:
        fields = json.loads((host.ROOT / "build" / board / "verified.json").read_text())
        return Verified(
            date=str(fields["date"]), kernel=str(fields["kernel"]), seconds=float(fields["seconds"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
