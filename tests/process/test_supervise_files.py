"""What is written into supervise/ in place, and what is not."""

from __future__ import annotations

import os

import pytest

from initfs import files
from initfs.supervise.protocol import RECORD, Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAMP = b"twelve bytes"
KEEP = 3


@pytest.fixture
def protocol(tmp_path: Path) -> Iterator[Protocol]:
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    protocol = Protocol(fd)
    yield protocol
    protocol.close()
    os.close(fd)


@pytest.fixture
def tally(tmp_path: Path) -> Path:
    return tmp_path / "supervise/death_tally"


def codes(tally: Path) -> list[int]:
    """The exit codes in a tally."""
    content = tally.read_bytes()
    assert len(content) % RECORD == 0
    return [content[at + len(STAMP)] for at in range(0, len(content), RECORD)]


def test_deaths_are_added_to_the_tally_until_it_is_full_and_then_the_oldest_goes(
    protocol: Protocol, tally: Path
) -> None:
    protocol.record_death(STAMP, 1 << 8, KEEP)
    first = tally.stat().st_ino
    for code in (2, 3):
        protocol.record_death(STAMP, code << 8, KEEP)
    assert codes(tally) == [1, 2, 3]
    assert tally.stat().st_ino == first
    protocol.record_death(STAMP, 4 << 8, KEEP)
    assert codes(tally) == [2, 3, 4]
    protocol.record_death(STAMP, 5 << 8, 2)
    assert codes(tally) == [4, 5]
    protocol.record_death(STAMP, 6 << 8, 0)
    assert codes(tally) == []


@pytest.mark.parametrize("place", ["damaged", "a link", "a FIFO"])
def test_what_is_no_tally_is_replaced_by_one(
    protocol: Protocol, tally: Path, tmp_path: Path, place: str
) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(RECORD))
    match place:
        case "damaged":
            tally.write_bytes(b"half a record")
        case "a link":
            tally.symlink_to(other)
        case _:
            os.mkfifo(tally)
    protocol.record_death(STAMP, 9, KEEP)
    assert codes(tally)[-1] == 128 + 9
    assert not tally.is_symlink()
    assert tally.is_file()
    assert other.read_bytes() == bytes(RECORD)


@pytest.mark.parametrize("place", ["a number", "nothing", "a link"])
def test_a_file_is_made_empty_whatever_is_there(tmp_path: Path, place: str) -> None:
    path, other = tmp_path / "pid", tmp_path / "other"
    other.write_text("mine")
    match place:
        case "a number":
            path.write_text("123\n")
        case "a link":
            path.symlink_to(other)
    files.empty(str(path))
    assert path.read_bytes() == b""
    assert path.is_file()
    assert not path.is_symlink()
    assert other.read_text() == "mine"
