"""Some memory that is given up when there is none, so that saying so and going on needs none that is not there."""

from __future__ import annotations

SIZE = 64 << 10  # bytes: enough for what is said of an error

_held = b""


def hold() -> None:
    """Have it, touched page by page, for memory that was never written to is not there yet."""
    global _held  # noqa: PLW0603
    if not _held:
        _held = b"\1" * SIZE


def release() -> bool:
    """Give it up; False when it had been already."""
    global _held
    had, _held = bool(_held), b""
    return had
