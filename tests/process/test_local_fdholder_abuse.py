"""What clients of a descriptor holder that mean ill achieve: they keep nobody waiting, and nothing open."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from initfs.local.fdholder import protocol
from initfs.local.wire import frame
from tests.process.local_world import (
    attack,
    connect,
    daemon,
    descriptors,
    everything,
    holder,
    ours,
    own_key,
    rule,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def test_no_attack_stops_the_server_or_leaves_a_descriptor_in_it(ruled: Path) -> None:
    path = ruled / "s"
    entry = protocol.encode(protocol.Store(protocol.Entry(b"n" * 255)))
    attacks: list[tuple[bytes, list[int]]] = [
        (b"", []),
        (b"\0", [0]),
        (frame(entry, 1)[:-1], [0]),  # half a message with its descriptor
        (frame(entry, 1), []),  # without
        (frame(b"L"), [0, 0]),  # with some that nobody asked for
        (frame(entry, 0), []),
        (frame(b"S" + bytes(13), 1), [0]),  # an empty name
        (frame(entry[:13] + b"\3a\0b\0", 1), [0]),  # NUL in it
        (frame(b"D\xff" + b"x" * 4096), []),
        (b"\xff\xff\xff\xff\0\0", []),  # 4 GB
        (b"\0\0\0\1\xff\xff", [0] * 250),
        (frame(b"?") * 100, []),
        (frame(b"!" + b"\xff" * 4), []),
        (frame(b"!\0\0\0\1") + frame(b".", 0), []),
        (frame(b"!\0\0\0\2") + frame(protocol.encode(protocol.Part((protocol.Entry(b"a"),))), 1), [0]),
        (frame(b"!\0\0\0\1") + frame(b"L"), []),
        (frame(protocol.encode(protocol.Part((protocol.Entry(b"a"),))), 1), [0]),
        (os.urandom(5000), [0, 1, 2]),
        (b"GET / HTTP/1.0\r\n\r\n", []),
    ]
    with server(daemon(ruled, "-c", "4")) as process, holder(path) as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for data, fds in attacks:
            attack(path, data, fds)
            assert held.names() == [b"safe"], data[:20]
        for name in (b"/etc/passwd", b"../x", b"x" * 255, b"\xff\xfe"):
            held.store(0, name)
            held.delete(name)
        until(lambda: descriptors(process.pid) == before)  # closed after the answer


def test_ten_thousand_descriptors_are_not_taken(ruled: Path) -> None:
    """Unclaimed ones above what a message can have end the connection; claimed ones above -n are refused."""
    with server(daemon(ruled, "-n", "100")) as process, holder(ruled / "s") as held:
        assert held.names() == []
        before = descriptors(process.pid)
        with connect(ruled / "s") as one:
            one.sendall(b"\0\0\0")  # and no message will ever be whole
            try:
                for _ in range(40):
                    socket.send_fds(one, [b"\1"], [0] * 250)
            except OSError:
                pass
            everything(one)
        refused = 0
        for number in range(150):
            try:
                held.store(0, b"%d" % number)
            except OSError as error:
                refused += error.errno == errno.ENFILE
        assert refused == 50
        for number in range(100):
            held.delete(b"%d" % number)
        until(lambda: descriptors(process.pid) == before)


def test_a_client_that_does_not_read_keeps_nobody_waiting_and_nothing_open(ruled: Path) -> None:
    with server(daemon(ruled)) as process, holder(ruled / "s") as held:
        for number in range(200):
            held.store(0, b"%03d" % number + b"n" * 250)
        before = descriptors(process.pid)
        deaf = connect(ruled / "s")
        for _ in range(50):
            deaf.sendall(frame(b"?"))
        assert len(held.names()) == 200
        held.delete(b"000" + b"n" * 250)  # while copies of it wait to be sent
        deaf.close()
        until(lambda: descriptors(process.pid) == before - 1)


def test_clients_that_do_not_read_take_no_descriptors_from_the_others(ruled: Path) -> None:
    """Each waits for all that is held: as copies they would be ten times what the process may have."""
    with server(daemon(ruled, "-n", "500")) as process, holder(ruled / "s") as held:
        for number in range(500):
            held.store(0, b"%03d" % number + b"n" * 250)
        before = descriptors(process.pid)
        crowd = [connect(ruled / "s") for _ in range(10)]
        for one in crowd:
            one.sendall(frame(b"?") * 20)
        assert len(held.names()) == 500
        until(lambda: descriptors(process.pid) >= before + len(crowd))
        assert len(held.names()) == 500  # by now it has answered the last one as well
        assert descriptors(process.pid) == before + len(crowd)
        for number in range(500):
            held.delete(b"%03d" % number + b"n" * 250)
        held.store(0, b"another")
        assert held.names() == [b"another"]
        for one in crowd:
            one.close()
        until(lambda: descriptors(process.pid) == before - 499)


def test_a_client_without_a_right_to_dumps_cannot_fill_the_holder(ruled: Path) -> None:
    rule(ruled / "mere", own_key(), FDHOLDER_STORE_REGEX="^x")
    line = ours("fdholder-daemon", "-1", "-i", ruled / "mere", ruled / "s")
    with server(line) as process, holder(ruled / "s") as held:
        held.store(0, b"x")
        before = descriptors(process.pid)
        greedy = connect(ruled / "s")
        socket.send_fds(greedy, [b"\0\0\1\0\0\1"], [0] * 250)
        assert everything(greedy) == b""
        with pytest.raises(PermissionError):
            held.store(0, b"y")
        with pytest.raises(PermissionError):
            held.set_dump([])
        assert descriptors(process.pid) == before
