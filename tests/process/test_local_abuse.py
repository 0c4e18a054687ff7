"""Clients, and servers, that mean ill: they say nothing, half of it, too much, or noise. Nobody else notices, and nothing is left of them.

A longer campaign: `FUZZ=10000 pytest tests/process/test_local_abuse.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initfs import say
from initfs.local import connlimit, sockets
from initfs.local.fdholder import client, fdholder_setdump, protocol
from initfs.local.fdholder.protocol import Entry, Part, Retrieve, SetDump, Store
from initfs.local.sudo import client as sudo_client
from initfs.local.sudo import protocol as sudo
from initfs.local.wire import AT_ONCE, Malformed, frame
from initfs.loop import now
from tests.process.local_world import (
    ALL_RIGHTS,
    PATIENCE,
    attack,
    connect,
    descriptors,
    needs_root,
    nobody,
    ours,
    own_key,
    public,
    rule,
    run,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("FUZZ", "60"))
campaign = settings(max_examples=ROUNDS, deadline=None)
HELD = ["sh", "-c", "echo here; exec cat"]
STORE = frame(protocol.encode(Store(Entry(b"left"))), 1)
DUMP = frame(protocol.encode(SetDump(2))) + frame(protocol.encode(Part((Entry(b"left"), Entry(b"right")))), 2)
ORDER = frame(sudo.encode([b"word"], [b"NAME=text"]), sudo.DESCRIPTORS)


@pytest.fixture
def place() -> Iterator[Path]:
    with public() as found:
        rule(found / "rules", own_key(), **ALL_RIGHTS)
        yield found


def holding(place: Path, *options: str) -> list[str]:
    return ours("fdholder-daemon", "-1", *options, "-i", place / "rules", place / "s")


def holder(place: Path) -> client.Holder:
    return client.connect(str(place / "s"), now() + PATIENCE)


# Against the servers -----------------------------------------------------------------------------


@needs_root
def test_clients_of_one_user_that_say_nothing_keep_no_other_user_out(place: Path) -> None:
    path = place / "s"
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


def test_orders_are_served_beside_clients_that_say_nothing_or_half_of_it(place: Path) -> None:
    path = place / "s"
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
    place: Path, talk: bytes, fds: int
) -> None:
    with server(holding(place)) as process, holder(place) as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for count in range(1, len(talk)):  # a kill is the end of its connection, with or without unread bytes
            with connect(place / "s") as one:
                socket.send_fds(one, [talk[:count]], [0] * fds)
            assert held.names() == [b"safe"]
        until(lambda: descriptors(process.pid) == before)
        assert attack(place / "s", talk, [0] * fds)  # the last byte makes the difference
        assert held.names() == [b"safe", *[b"left", b"right"][:fds]]
        until(lambda: descriptors(process.pid) == before + fds)


def test_a_dump_that_is_too_large_is_refused_as_a_whole(place: Path) -> None:
    def part(count: int) -> bytes:
        return frame(protocol.encode(Part(tuple(Entry(b"%d" % number) for number in range(count)))), count)

    with server(holding(place, "-n", "300")) as process, holder(place) as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        full = bytes([errno.ENFILE])
        for count in (301, 1 << 20, (1 << 32) - 1):  # more than there is room for, said at once
            assert attack(place / "s", frame(protocol.encode(SetDump(count)))) == frame(full)
        head = protocol.set_head(300)
        with connect(place / "s") as one:  # room for 300, but one is held already
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
            assert attack(place / "s", frame(body, 1), [0]) == b""
        with connect(place / "s") as one:  # a part that is larger than was said
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


def test_a_holder_goes_on_whatever_bytes_and_descriptors_come(place: Path) -> None:
    chance = random.Random(5)
    talks = [STORE, DUMP, frame(b"?"), frame(b"L"), frame(protocol.encode(Retrieve(b"safe"))), bytes(40)]
    with server(holding(place, "-n", "100000")) as process, holder(place) as held:
        held.store(0, b"safe")
        before = descriptors(process.pid)
        for _ in range(ROUNDS):
            attack(place / "s", mutated(chance.choice(talks), chance), [0] * chance.choice([0, 1, 2, 3, 250]))
            for name in held.names():
                if name != b"safe":  # a mutant was an honest request
                    held.delete(name)
        until(lambda: descriptors(process.pid) == before)


def test_a_server_of_orders_goes_on_whatever_bytes_and_descriptors_come(place: Path) -> None:
    chance = random.Random(6)
    with server(ours("ipcserver", "-1", place / "s", "sudod", "true")) as process:
        before = descriptors(process.pid)
        for _ in range(ROUNDS):
            data = mutated(ORDER, chance)
            assert attack(place / "s", data, [0] * chance.choice([0, 1, 3, 3, 250])).startswith(sudo.HELLO)
        assert run(ours("svsudo", place / "s"))[0] == 0
        until(lambda: descriptors(process.pid) == before)


# Against the clients -----------------------------------------------------------------------------


def own_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def answered(noise: bytes, fds: int) -> socket.socket:
    """A connection whose other end has sent this, and closed."""
    near, far = socket.socketpair()
    with far:
        if noise and fds:
            socket.send_fds(far, [noise], [0] * fds)
        else:
            far.sendall(noise)
        far.shutdown(socket.SHUT_WR)
        return near


def closed(numbers: list[int]) -> None:
    for fd in numbers:
        os.close(fd)


QUESTIONS: list[Callable[[client.Holder], object]] = [
    lambda holder: holder.store(0, b"x"),
    lambda holder: closed([holder.retrieve(b"x")]),
    lambda holder: holder.names(),
    lambda holder: holder.set_dump([client.Dumped(0, b"x")]),
    lambda holder: closed([one.descriptor for one in holder.get_dump()]),
]
ANSWERS = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(frame),
    st.builds(lambda body, fds: frame(b"\0" + body, fds), st.binary(max_size=30), st.integers(0, 3)),
    st.builds(
        lambda head, body, fds: frame(protocol.dump_head(head)) + frame(body, fds),
        st.integers(0, 3),
        st.binary(max_size=40),
        st.integers(0, 3),
    ),
)


@campaign
@given(st.sampled_from(QUESTIONS), ANSWERS, st.integers(0, 4))
@example(QUESTIONS[4], frame(protocol.dump_head(1)) + frame(protocol.entries_body((Entry(b"x"),)), 1), 1)
def test_a_client_of_a_holder_is_content_with_an_answer_or_says_what_is_wrong(
    question: Callable[[client.Holder], object], noise: bytes, fds: int
) -> None:
    before = own_descriptors()
    near = answered(noise, fds)
    talk = client.Holder(sockets.Channel(sockets.of(near.detach()), now() + PATIENCE))
    with contextlib.suppress(OSError), talk:
        question(talk)
    assert own_descriptors() == before


@campaign
@given(
    st.binary(max_size=40)
    | st.binary(max_size=40).map(sudo.HELLO.__add__)
    | st.binary(max_size=9).map((sudo.HELLO + b"\0").__add__),
    st.integers(0, 3),
)
def test_a_client_of_orders_is_content_with_an_answer_or_says_what_is_wrong(noise: bytes, fds: int) -> None:
    before = own_descriptors()
    connection = sockets.of(answered(noise, fds).detach())
    try:
        status = sudo_client.run(connection, connection, [b"word"], [], (0, 1, 2), now() + PATIENCE)
    except (OSError, Malformed):
        pass
    else:
        assert noise.startswith(sudo.HELLO + b"\0" + status.to_bytes(4, "big"))
    connection.close()
    assert own_descriptors() == before


# Words and variables -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "x" * 108, "/" * 4096])
def test_a_path_that_no_socket_can_have_is_wrong_usage(name: str) -> None:
    for line in (
        ("ipcclient", name, "true"),
        ("ipcserver-socketbinder", name, "true"),
        ("svsudo", name),
        ("fdholder-list", name),
    ):
        assert run(ours(*line))[0] == 100, line


@campaign
@given(
    st.dictionaries(
        st.sampled_from([b"FD#", b"FD_0", b"FD_1", b"FDID_0", b"FDID_1", b"FDLIMIT_0"]),
        st.sampled_from([b"0", b"1", b"2", b"99999999999", b"x" * 4096, b"@4000000000000000" + b"0" * 8])
        | st.binary(max_size=9),
    )
)
def test_variables_of_a_dump_are_understood_or_refused(environment: dict[bytes, bytes]) -> None:
    try:
        dump = fdholder_setdump.told(environment)
    except ValueError:
        return
    assert len(dump) == int(environment[b"FD#"])
    assert [one.name for one in dump] == [environment[b"FDID_%d" % index] for index in range(len(dump))]


@campaign
@given(
    st.dictionaries(
        st.sampled_from(["PROTO", "IPCCONNNUM", "IPCCONNMAX"]),
        st.sampled_from(["IPC", "1", "2", "10"]) | st.text(max_size=20),
    )
)
def test_a_number_of_connections_that_is_none_lets_nobody_in(environment: dict[str, str]) -> None:
    try:
        inside = connlimit.within(environment)
    except say.Fatal:
        return
    count, most = environment["IPCCONNNUM"], environment.get("IPCCONNMAX")
    assert inside == (most is None or int(count) < int(most))
