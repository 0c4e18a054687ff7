"""Servers that mean ill, and words and variables that are none: a client is content, or says what is wrong, and keeps nothing open."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initfs import say
from initfs.local import connlimit, sockets
from initfs.local.fdholder import client, fdholder_setdump, protocol
from initfs.local.fdholder.protocol import Entry
from initfs.local.sudo import client as sudo_client
from initfs.local.sudo import protocol as sudo
from initfs.local.wire import Malformed, frame
from initfs.loop import now
from tests.process.local_world import (
    PATIENCE,
    ROUNDS,
    ours,
    run,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

campaign = settings(max_examples=ROUNDS, deadline=None)


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


@pytest.mark.parametrize("name", ["", "x" * 108, "/" * 4096])
def test_a_path_that_no_socket_can_have_is_wrong_usage(name: str) -> None:
    for line in (
        ("ipcclient", name, "true"),
        ("ipcserver-socketbinder", name, "true"),
        ("svsudo", name),
        ("fdholder-list", name),
    ):
        assert run(ours(*line))[0] == 100, line


def test_a_number_that_is_too_long_is_wrong_usage_and_one_that_is_too_large_for_the_kernel_is_not(
    path: Path,
) -> None:
    for line in (
        ("ipcserver-socketbinder", "-b", "9" * 5000, path, "true"),
        ("ipcserverd", "-c", "9" * 5000, "true"),
        ("fdholder-list", "-t", "9" * 13, path),
    ):
        code, _, err = run(ours(*line))
        assert (code, f"{line[0]}: fatal: usage: {line[0]} " in err) == (100, True)
    assert run(ours("ipcserver-socketbinder", "-b", "9" * 12, path, "true")) == (0, "", "")
    assert run(ours("fdholder-list", "-t", "9" * 12, path))[0] == 111  # nobody listens any more


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
