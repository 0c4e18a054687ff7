"""The status file: what we write is what everybody reads, what others write is read as far as it goes, garbage is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from initfs import tai
from initfs.supervise import svstat
from initfs.supervise.status import DOWN, FINISH, LENGTH, RUN, Status, decode, encode, stat_words
from initfs.supervise.waiting import level

NOW = 1_795_000_000_000_000_000
PID = 4711

statuses = some.builds(
    Status,
    state=some.sampled_from([DOWN, RUN, FINISH]),
    pid=some.integers(0, 2**31 - 1),
    wanted=some.booleans(),
    ready=some.booleans(),
    paused=some.booleans(),
    termed=some.booleans(),
    ran=some.booleans(),
    wait_status=some.integers(0, 0xFFFF),
    changed=some.integers(0, 2**63 - 1),
    since=some.integers(0, 2**64 - 1),
    readied=some.integers(0, 2**64 - 1),
)


def possible(status: Status) -> bool:
    """Can a service be like this? It has a process exactly when it is not down, and only what is up is ready or paused."""
    alive = status.state != DOWN
    return (
        alive == bool(status.pid)
        and (status.ran or not alive)
        and (status.state == RUN or not (status.ready or status.paused or status.termed))
    )


@given(statuses.filter(possible))
def test_what_is_written_is_read_again(status: Status) -> None:
    # SUP-054 (partly)
    assert decode(encode(status)) == status


@given(statuses)
def test_the_parts_of_the_other_suites_are_where_they_look_for_them(status: Status) -> None:
    # SUP-062 (partly)
    data = encode(status)
    assert len(data) == LENGTH
    assert tai.unpack(data) == status.changed
    assert int.from_bytes(data[12:16], "little") == int.from_bytes(data[24:32], "big") == status.pid
    assert data[16] == status.paused
    assert data[17:18] == (b"u" if status.wanted else b"d")
    assert (data[18], data[19], data[20:24]) == (status.termed, status.state, b"\0\0\0\0")
    assert int.from_bytes(data[32:34], "big") == status.wait_status
    assert bool(data[34] & 2) == (status.state == FINISH)
    assert bool(data[34] & 4) == status.wanted
    assert data[34] < 16
    seen = level(data)
    assert seen.up == (status.state != FINISH and status.pid > 0)


@given(some.binary(max_size=80))
@example(b"")
@example(b"\xff" * 35)
@example(b"\xff" * LENGTH)
@example(b"\0" * 20)
@example(struct.pack(">QI", 0, 0) + b"\0" * 39)
def test_garbage_is_refused_or_can_be_shown(data: bytes) -> None:
    # SUP-062 (partly)
    try:
        status = decode(data)
    except ValueError:
        return
    shown = svstat.Seen(status, True, 10**12)
    for field in svstat.FIELDS.values():
        assert "\n" not in field(shown)
    assert svstat.in_words(shown)
    assert svstat.as_json("a", shown)
    assert stat_words(status).isprintable()


@pytest.mark.parametrize(
    ("pid", "paused", "want", "state"),
    [
        (0, 0, b"d", DOWN),
        (0, 0, b"u", DOWN),
        (PID, 0, b"u", RUN),
        (PID, 1, b"d", RUN),
        (PID, 0, b"d", FINISH),
    ],
)
def test_the_20_bytes_of_runsv_and_the_18_of_daemontools_are_read(
    pid: int, paused: int, want: bytes, state: int
) -> None:
    # RUN-079 (partly)
    runsv = tai.pack(NOW) + pid.to_bytes(4, "little") + bytes([paused]) + want + bytes([1, state])
    assert len(runsv) == 20
    found = decode(runsv)
    assert (found.pid, found.paused, found.wanted, found.state) == (pid, bool(paused), want == b"u", state)
    assert (found.termed, found.changed, found.ready) == (True, NOW, False)
    found = decode(runsv[:18])
    assert (found.pid, found.paused, found.wanted) == (pid, bool(paused), want == b"u")
    assert found.state == (RUN if pid else DOWN)


@pytest.mark.parametrize("size", [*range(18), 19, *range(21, 35)])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="bytes instead of"):
        decode(bytes(size))


@given(statuses)
def test_the_words_for_scripts(status: Status) -> None:
    # RUN-079 (partly)
    words = stat_words(status).split(", ")
    assert words[0] == ("down", "run", "finish")[status.state]
    assert ("paused" in words, "got TERM" in words) == (status.paused, status.termed)
