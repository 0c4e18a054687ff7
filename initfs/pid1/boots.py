"""The record of boots on a partition that survives: how many in a row were not healthy, and how the last one ended. Pure.

One line of words: `COUNT STATE REASON...`. COUNT boots in a row did not become healthy; STATE is `begun`, `healthy` or `ended`.
"""

from __future__ import annotations

from initfs.value import replace, value

PATIENCE = 3  # boots in a row that may fail before the next one is a failsafe one
SUDDEN = "power loss, a reset, or a crash: nothing announced it"


@value
class Record:
    """What is known of the boots so far."""

    unhealthy: int = 0
    state: str = "ended"
    reason: str = ""


def decode(data: bytes) -> Record:
    """The Record that was written; a damaged one is as good as none."""
    words = data.decode(errors="replace").split(None, 2)
    if len(words) < 2 or not words[0].isascii() or not words[0].isdigit() or words[1] not in STATES:
        return Record()
    return Record(min(int(words[0]), 1000), words[1], words[2].strip() if len(words) > 2 else "")


def encode(record: Record) -> bytes:
    return f"{record.unhealthy} {record.state} {record.reason}\n".encode(errors="replace")


STATES = ("begun", "healthy", "ended")


def begin(before: Record) -> tuple[Record, str, bool]:
    """A boot begins: the new record, why the last one ended, and whether this one has to be a failsafe one.

    A failsafe boot counts from the beginning again: the one after it is an ordinary try.
    """
    why = before.reason or "nobody knows" if before.state == "ended" else SUDDEN
    failsafe = before.unhealthy >= PATIENCE
    return Record(0 if failsafe else before.unhealthy + 1, "begun"), why, failsafe


def healthy(before: Record) -> Record:
    """The boot has become healthy."""
    return replace(before, unhealthy=0, state="healthy")


def end(before: Record, reason: str) -> Record:
    """The boot ends in order. Before it was healthy somebody was in a hurry: that is no failure."""
    return Record(0 if before.state == "healthy" else max(before.unhealthy - 1, 0), "ended", reason)
