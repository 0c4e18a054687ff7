"""Clients that mean ill: they say nothing, half of it, too much, or noise. Nobody else notices, and nothing is left of them.

A longer campaign: `FUZZ=10000 pytest tests/process/test_local_abuse.py tests/process/test_local_answers.py`.
"""

from __future__ import annotations

import errno
import random
import socket

import pytest

from initfs.local.fdholder import protocol
from initfs.local.fdholder.protocol import Entry, Part, Retrieve, SetDump, Store
from initfs.local.sudo import protocol as sudo
from initfs.local.wire import AT_ONCE, frame
from tests.process.local_world import (
    ROUNDS,
    attack,
    connect,
    daemon,
    descriptors,
    holder,
    needs_root,
    nobody,
    ours,
    run,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

HELD = ["sh", "-c", "echo here; exec cat"]
STORE = frame(protocol.encode(Store(Entry(b"left"))), 1)
DUMP = frame(protocol.encode(SetDump(2))) + frame(protocol.encode(Part((Entry(b"left"), Entry(b"right")))), 2)
ORDER = frame(sudo.encode([b"word"], [b"NAME=text"]), sudo.DESCRIPTORS)


@needs_root
def test_clients_of_one_user_that_say_nothing_keep_no_other_user_out(ruled: Path) -> None:
    path = ruled / "s"
    with server(ours("ipcserver", "-1", "-c", "60", "-C", "20", path, *HELD)) as process:
        before = descriptors(process.pid)
        silent = [connect(path) for _ in range(20)]
        assert [one.recv(5) for one in silent] == [b"here\n"] * 20
        assert attack(path, b"") == b""  # the same user's next one
        assert run(nobody("ipcclient", path, "sh", "-c", "read -r line <&6; echo $line"))[1] == "here\n"
        for one in silent:
            one.close()
        assert (
            descriptors(process.pid) <= before + 1
        )  # none of theirs was ever kept; an assistant may be there


def test_orders_are_served_beside_clients_that_say_nothing_or_half_of_it(ruled: Path) -> None:
    path = ruled / "s"
    with server(ours("ipcserver", "-1", path, "sudod", "echo", "done")) as process:
        before = descriptors(process.pid)
        crowd = [connect(path) for _ in range(20)]
        for number, one in enumerate(crowd):
            assert one.recv(100) == sudo.HELLO
            if number % 2:
                socket.send_fds(one, [ORDER[: number * 3]], [0, 1, 2])
        assert run(ours("svsudo", path)) == (0, "done\n", "")
        for one in crowd:
            one.close()
        assert run(ours("svsudo", path)) == (0, "done\n", "")
        until(lambda: descriptors(process.pid) == before)


@pytest.mark.parametrize(
    ("talk", "fds"), [(STORE, 1), (DUMP, 2), (frame(b"?"), 0)], ids=["store", "set", "get"]
)
def test_a_client_that_is_killed_at_any_step_leaves_nothing_in_the_holder(
    ruled: Path, talk: bytes, fds: int
) -> None:
    with server(daemon(ruled)) as process, holder(ruled / "s") as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for count in range(1, len(talk)):  # a kill is the end of its connection, with or without unread bytes
            with connect(ruled / "s") as one:
                socket.send_fds(one, [talk[:count]], [0] * fds)
            assert held.names() == [b"safe"]
        until(lambda: descriptors(process.pid) == before)
        assert attack(ruled / "s", talk, [0] * fds)  # the last byte makes the difference
        assert held.names() == [b"safe", *[b"left", b"right"][:fds]]
        until(lambda: descriptors(process.pid) == before + fds)


def test_a_dump_that_is_too_large_is_refused_as_a_whole(ruled: Path) -> None:
    def part(count: int) -> bytes:
        return frame(protocol.encode(Part(tuple(Entry(b"%d" % number) for number in range(count)))), count)

    with server(daemon(ruled, "-n", "300")) as process, holder(ruled / "s") as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        full = bytes([errno.ENFILE])
        for count in (301, 1 << 20, (1 << 32) - 1):  # more than there is room for, said at once
            assert attack(ruled / "s", frame(protocol.encode(SetDump(count)))) == frame(full)
        head = protocol.set_head(300)
        with connect(ruled / "s") as one:  # room for 300, but one is held already
            one.sendall(frame(protocol.encode(SetDump(300))))
            assert one.recv(100) == frame(head)
            socket.send_fds(one, [part(AT_ONCE)], [0] * AT_ONCE)
            socket.send_fds(one, [part(300 - AT_ONCE)], [0] * (300 - AT_ONCE))
            assert one.recv(100) == frame(b"\0")  # the same names twice: there is room
        assert len(held.names()) == AT_ONCE + 1
        for number in range(AT_ONCE):
            held.delete(b"%d" % number)
        for body in (
            part(2)[6:] * 200,
            bytes(protocol.REQUEST_MAX + 1),
        ):  # more bytes than a request can have
            assert attack(ruled / "s", frame(body, 1), [0]) == b""
        with connect(ruled / "s") as one:  # a part that is larger than was said
            one.sendall(frame(protocol.encode(SetDump(2))))
            one.recv(100)
            socket.send_fds(one, [part(3)], [0] * 3)
            assert one.recv(100) == b""
        assert held.names() == [b"safe"]
        until(lambda: descriptors(process.pid) == before)


def mutated(talk: bytes, chance: random.Random) -> bytes:
    """TALK with some bytes changed, cut, doubled or put in."""
    data = bytearray(talk)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        way = chance.randrange(4)
        if way == 0:
            data[at : at + 1] = chance.randbytes(1)
        elif way == 1:
            del data[at : at + chance.randint(1, 9)]
        elif way == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 300))
        else:
            data[at:at] = data[: chance.randint(1, 40)]
    return bytes(data)


def test_a_holder_goes_on_whatever_bytes_and_descriptors_come(ruled: Path) -> None:
    chance = random.Random(5)
    talks = [STORE, DUMP, frame(b"?"), frame(b"L"), frame(protocol.encode(Retrieve(b"safe"))), bytes(40)]
    with server(daemon(ruled, "-n", "100000")) as process, holder(ruled / "s") as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for _ in range(ROUNDS):
            attack(ruled / "s", mutated(chance.choice(talks), chance), [0] * chance.choice([0, 1, 2, 3, 250]))
            for name in held.names():
                if name != b"safe":  # a mutant was an honest request
                    held.delete(name)
        until(lambda: descriptors(process.pid) == before)


def test_a_server_of_orders_goes_on_whatever_bytes_and_descriptors_come(ruled: Path) -> None:
    chance = random.Random(6)
    with server(ours("ipcserver", "-1", ruled / "s", "sudod", "true")) as process:
        before = descriptors(process.pid)
        for _ in range(ROUNDS):
            data = mutated(ORDER, chance)
            assert attack(ruled / "s", data, [0] * chance.choice([0, 1, 3, 3, 250])).startswith(sudo.HELLO)
        assert run(ours("svsudo", ruled / "s"))[0] == 0
        until(lambda: descriptors(process.pid) == before)
