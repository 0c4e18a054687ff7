"""The files in supervise/ and around it: which are written, with which modes, in place or anew, and which never."""

from __future__ import annotations

import os
import struct
import time

import pytest

from initfs import files
from initfs.supervise.protocol import RECORD, Protocol
from initfs.supervise.status import LENGTH, RUN, decode
from tests.process.service import READY_ON_3
from tests.process.tree import Tree

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


@pytest.mark.parametrize(("knob", "kept"), [(None, 100), ("5\n", 5), ("0\n", 0)])
def test_deaths_are_tallied_up_to_the_maximum(knob: str | None, kept: int, tree: Tree) -> None:
    # SUP-049
    count = 105 if knob is None else 7
    service = tree.add("a", "kill -KILL $$", **({} if knob is None else {"max_death_tally": knob}))
    tree.start()
    for _ in range(count - 1):
        tree.wait_for("finished", "a")
        tree.send("a", "o")
    tree.wait_for("finished", "a")
    tree.settle()
    tally = (service / "supervise/death_tally").read_bytes()
    assert len(tally) == 14 * kept
    for number in range(kept):
        assert struct.unpack_from(">BB", tally, 14 * number + 12) == (128 + 9, 9)
    stamps = [tally[14 * number :][:12] for number in range(kept)]
    assert stamps == sorted(stamps)


def test_a_damaged_tally_is_begun_anew(tree: Tree) -> None:
    # SUP-049
    service = tree.add("a", "exit 3", down="")
    tree.start()
    tree.wait_furnished("a")
    (service / "supervise/death_tally").write_bytes(b"garbage")
    tree.send("a", "o")
    tree.wait_for("finished", "a")
    tree.settle()
    tally = (service / "supervise/death_tally").read_bytes()
    assert (len(tally), tally[12:]) == (14, b"\x03\x00")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_directory_needs_only_event_and_supervise_to_be_writable(tmp_path: Path) -> None:
    # SUP-051
    inside = f"""
    mount --bind {tmp_path}/scan/a {tmp_path}/scan/a
    mount -o remount,bind,ro {tmp_path}/scan/a
    touch {tmp_path}/scan/a/x 2>/dev/null && echo writable
    exec "$@"
    """
    with Tree(tmp_path) as tree:
        service = tree.add("a", READY_ON_3, notification_fd="3\n", finish="true")
        for name in ("supervise", "event"):
            (tree.base / name).mkdir()
            (service / name).symlink_to(tree.base / name)
        tree.start(prefix=("unshare", "-m", "sh", "-c", inside, "-"))
        tree.wait_for("ready", "a")
        (tree.base / "supervise/control").write_bytes(b"D")
        tree.wait_for("finished", "a")
        tree.wait_said("a: unable to create down: Read-only file system")
        (tree.base / "supervise/control").write_bytes(b"U")
        tree.wait_for("up", "a")
        tree.settle()
        assert decode((tree.base / "supervise/status").read_bytes()).state == RUN
        assert tree.stop() == 0
        assert "writable" not in tree.said


def test_dangling_links_for_supervise_and_event_get_their_targets(tree: Tree) -> None:
    # SUP-051
    service = tree.add("a")
    for name in ("supervise", "event"):
        (service / name).symlink_to(tree.base / f"elsewhere-{name}")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert (tree.base / "elsewhere-supervise/status").exists()
    assert (tree.base / "elsewhere-event").stat().st_mode & 0o7777 == 0o3730


def test_our_files_have_the_modes_that_clients_expect(tree: Tree) -> None:
    # SUP-054 (partly)
    service = tree.add("a")
    tree.start()
    tree.wait_furnished("a")
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (service / "supervise").iterdir()}
    expected = {"control": 0o600, "ok": 0o600, "lock": 0o644, "status": 0o644, "pid": 0o644, "stat": 0o644}
    assert {name: modes[name] for name in expected} == expected
    assert (service / "supervise").stat().st_mode & 0o7777 == 0o700
    assert (service / "event").stat().st_mode & 0o7777 == 0o3730


def test_the_status_file_can_be_read_at_every_moment(tree: Tree) -> None:
    # SUP-054
    tree.add("a", "echo >&3; exec sleep 999", notification_fd="3\n", finish="exit 0")
    tree.start()
    tree.wait_for("ready", "a")
    path = tree.scandir / "a/supervise/status"
    seen = set()
    for letter, event in [("k", "finished"), ("u", "ready")] * 20:
        goal = tree.happened("a").count(event) + 1
        deadline = time.monotonic() + 20
        tree.send("a", letter)
        while tree.happened("a").count(event) < goal and time.monotonic() < deadline:
            data = path.read_bytes()
            found = decode(data)
            assert len(data) == LENGTH
            assert found.pid == int.from_bytes(data[24:32], "big")
            assert (found.pid == 0) == (found.state == 0)
            seen.add(found.state)
    assert RUN in seen


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
