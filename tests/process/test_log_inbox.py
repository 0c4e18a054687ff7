"""The inbox as a successor finds it, whenever the logger is killed."""

from __future__ import annotations

import os
import random

import pytest

from initfs.log import record
from initfs.log.inbox import AT_ONCE, NAME, RING, Inbox, widen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def found(directory: int) -> bytes:
    """What a successor would find."""
    fd = os.open(NAME, os.O_RDONLY, dir_fd=directory)
    page = os.read(fd, record.SIZE)
    left = record.decode(page)
    assert left is not None
    data = record.filled(left, os.pread(fd, 1 << 20, left.start))
    os.close(fd)
    return data


@pytest.mark.parametrize("blank", [False, True])
def test_after_every_step_all_that_was_taken_is_found(tmp_path: Path, *, blank: bool) -> None:
    # LOG-100 (partly)
    chance = random.Random(blank)
    directory = os.open(tmp_path, os.O_RDONLY)
    reading, writing = os.pipe()
    widen(reading)
    inbox = Inbox(directory, 1)
    held, most = b"", 0
    for step in range(200):
        size = chance.choice([1, 5000, 20000, 65536, 125_000, AT_ONCE])
        text = chance.randbytes(size) if blank and step > 150 else bytes([97 + step % 26]) * size
        os.write(writing, text)
        while len(inbox.data()) < len(held) + size:
            assert inbox.fill(reading)
            data = inbox.data()
            assert data == held + text[: len(data) - len(held)]
            assert found(directory).endswith(data)  # before it there may be a block that is written
        held += text
        most = max(most, os.stat(tmp_path / NAME).st_size)
        used = len(held) - chance.choice([0, 1, 8000])
        if used <= 0:
            continue
        inbox.note(used)
        assert found(directory) == held
        inbox.done(used)
        held = held[used:]
        assert inbox.data() == held
        assert found(directory).endswith(held)
    assert RING < most <= record.SIZE + RING + AT_ONCE
    again = Inbox(directory, 1)
    assert again.data().endswith(held)
    for fd in (directory, reading, writing):
        os.close(fd)
