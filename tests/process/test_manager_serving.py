"""The oneshot runner's kept connections, alone, with scripts that are numbers."""

from __future__ import annotations

import os
import select
import signal
import socket
from errno import EACCES, EIO, ESPIPE, ETIMEDOUT
from typing import TYPE_CHECKING

import pytest

from initfs import loop
from initfs.chain import child
from initfs.local import sockets
from initfs.manager import oneshot, orders, serving
from tests.process.local_world import public
from tests.process.manager_world import RUNNER
from tests.process.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


MOST = 3


class Desk:
    """A server whose scripts are numbers: it begins one with the pid 1000 + service, unless that is to fail."""

    def __init__(self, folder: Path, most: int = MOST, name: str = "s") -> None:
        self.around = loop.Loop()
        self.path = str(folder / name)
        listener = sockets.bind(self.path, blocking=False)
        listener.listen(5)
        self.begun: list[tuple[int, int, int]] = []
        self.failing: dict[int, Exception] = {}
        self.server = serving.Server(self.around, listener, lambda _: True, self._begin, most)

    def _begin(self, which: int, number: int, milliseconds: int, descriptors: Sequence[int]) -> int:
        assert len(descriptors) == 3
        if number in self.failing:
            raise self.failing[number]
        self.begun.append((which, number, milliseconds))
        return 1000 + number

    def client(self) -> socket.socket:
        """Somebody who has said the right words."""
        made = socket.socket(socket.AF_UNIX)
        made.connect(self.path)
        marks = os.memfd_create("marks")
        socket.send_fds(made, [orders.GREETING], [0, 1, 2, marks])
        os.close(marks)
        return made

    def settle(self) -> None:
        """Let it do all that it can without more news."""
        news = self.around._epoll
        self.server.work()
        while select.select([news], [], [], 0)[0] or self.server.retry == 0.0:
            self.around.turn(0.0)
            self.server.work()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.around.close()


def answers(client: socket.socket, count: int) -> list[tuple[int, int, int]]:
    client.settimeout(PATIENCE)
    found: list[tuple[int, int, int]] = []
    records = orders.Records()
    while len(found) < count:
        data = client.recv(65536)
        assert data, found
        found += records.feed(data)
    return found


def test_orders_are_begun_as_far_as_there_is_room_and_each_is_answered(desk: Desk) -> None:
    desk.failing = {2: PermissionError(EACCES, "no"), 3: RuntimeError("a bug")}
    client = desk.client()
    client.sendall(b"".join(orders.record(1, number, 0) for number in range(6)))
    desk.settle()
    assert desk.begun == [(1, 0, 0), (1, 1, 0), (1, 4, 0)], "the fourth has to wait"
    assert answers(client, 2) == [(2, EACCES, 0), (3, EIO, 0)]
    assert desk.server.died(1001, 256)
    assert not desk.server.died(1001, 256)
    desk.settle()
    assert desk.begun[3:] == [(1, 5, 0)]
    desk.server.late(1005)
    desk.settle()
    assert answers(client, 2) == [(1, 0, 256), (5, ETIMEDOUT, 0)]
    assert not desk.server.died(1005, 15), "its client has been told"


def test_a_crowd_of_orders_waits_in_the_socket_and_none_is_lost(desk: Desk) -> None:
    count = 5000
    client = desk.client()
    client.setblocking(False)
    data = b"".join(orders.record(1, number, number) for number in range(count))
    found: list[tuple[int, int, int]] = []
    records = orders.Records()
    ended = 0
    while len(found) < count:
        if data and select.select([], [client], [], 0)[1]:
            data = data[client.send(data) :]
        desk.settle()
        assert len(desk.begun) - ended <= MOST
        for _, number, _ in desk.begun[ended:]:
            assert desk.server.died(1000 + number, 0)
        ended = len(desk.begun)
        desk.server.work()
        if select.select([client], [], [], 0)[0]:
            found += records.feed(client.recv(1 << 20))
    assert found == [(number, 0, 0) for number in range(count)]
    assert [one[2] for one in desk.begun] == list(range(count))


def test_answers_that_nobody_reads_wait_and_none_is_lost(desk: Desk) -> None:
    count = 3000
    client = desk.client()
    for number in range(count):
        client.sendall(orders.record(0, number, 0))
        desk.settle()
        desk.server.died(1000 + number, 7)
        desk.server.work()
    found: list[tuple[int, int, int]] = []
    records = orders.Records()
    while len(found) < count:
        assert select.select([client], [], [], 0)[0], len(found)
        found += records.feed(client.recv(1 << 16))
        desk.settle()
    assert found == [(number, 0, 7) for number in range(count)]


def test_when_a_client_goes_nothing_more_begins_for_it(desk: Desk) -> None:
    # SM-186 (partly)
    client, other = desk.client(), desk.client()
    client.sendall(b"".join(orders.record(1, number, 0) for number in range(20)))
    desk.settle()
    client.close()
    other.sendall(orders.record(1, 77, 0))
    desk.settle()
    assert desk.server.died(1000, 0)
    desk.settle()
    assert [number for _, number, _ in desk.begun] == [0, 1, 2, 77]
    assert desk.server.died(1001, 0), "what had begun went on"
    assert desk.server.died(1077, 0)
    desk.settle()
    assert answers(other, 1) == [(77, 0, 0)]


def test_a_client_that_dies_with_thousands_of_orders_on_their_way_has_few_of_them_begun(
    tmp_path: Path,
) -> None:
    # SM-186 (partly)
    desk = Desk(tmp_path, most=10000)
    try:
        client = desk.client()
        client.sendall(b"".join(orders.record(1, number, 0) for number in range(5000)))
        client.close()
        desk.settle()
        assert len(desk.begun) <= 2 * serving.AT_ONCE
    finally:
        desk.around.close()


def test_who_speaks_another_language_is_left_alone(desk: Desk) -> None:
    strangers = []
    for words, fds in (
        (b"rc ordinal\n", [0, 1, 2, 0]),
        (orders.GREETING, [0, 1, 2]),
        (orders.GREETING, [0, 1, 2, 0, 0]),
        (b"x", [0, 1, 2, 0]),
    ):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(desk.path)
        socket.send_fds(stranger, [words], fds)
        strangers.append(stranger)
    desk.settle()
    for stranger in strangers:
        stranger.settimeout(PATIENCE)
        assert stranger.recv(1) == b""
    assert desk.begun == []
    assert not desk.server.outdated


def test_a_mark_that_cannot_be_made_is_the_orders_failure(desk: Desk) -> None:
    client = socket.socket(socket.AF_UNIX)
    client.connect(desk.path)
    reading, writing = os.pipe()
    socket.send_fds(client, [orders.GREETING], [0, 1, 2, writing])
    client.sendall(orders.record(1, 5, 0))
    desk.settle()
    assert answers(client, 1) == [(5, ESPIPE, 0)]
    assert desk.begun == []
    for fd in (reading, writing):
        os.close(fd)


class Dying(Desk):
    """One that is killed when it begins its second script."""

    def _begin(self, which: int, number: int, milliseconds: int, descriptors: Sequence[int]) -> int:
        if self.begun:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._begin(which, number, milliseconds, descriptors)


@pytest.fixture
def live() -> Iterator[Path]:
    """A live directory with the runner's service directory and nothing else."""
    with public() as found:
        (found / "servicedirs" / RUNNER).mkdir(parents=True)
        yield found


def die(directory: Path, writing: int) -> int:
    """Serve until we are killed, from when on a byte says that we do."""
    dying = Dying(directory, 10, orders.SOCKET)
    os.write(writing, b"x")
    while True:
        dying.around.turn(dying.server.retry)
        dying.server.work()


def test_what_a_killed_runner_had_not_begun_is_ordered_again_and_nothing_else(live: Path) -> None:
    # SM-189 (partly)
    reading, writing = os.pipe()
    pid = child.fork(lambda: die(live / "servicedirs" / RUNNER, writing))
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    around, ended, again = loop.Loop(), dict[int, str](), list[int]()
    runner = oneshot.Runner(around, str(live), ended.__setitem__, again.append)
    for number in (5, 3, 8, 1):
        runner.order(number, 1, 0)
    runner.flush()
    os.waitpid(pid, 0)
    deadline = loop.now() + PATIENCE
    while not ended and loop.now() < deadline:
        around.turn(deadline)
    assert list(ended) == [5, 3], "the one that ran, and the one that was about to"
    assert all("hung up" in why for why in ended.values())
    assert again == [8, 1]
    around.close()


def test_a_runner_that_lives_and_hangs_up_is_not_asked_again(live: Path) -> None:
    # SM-189 (partly)
    listener = sockets.bind(str(live / "servicedirs" / RUNNER / orders.SOCKET))
    listener.listen(1)
    around, ended, again = loop.Loop(), dict[int, str](), list[int]()
    runner = oneshot.Runner(around, str(live), ended.__setitem__, again.append)
    runner.order(5, 1, 0)
    runner.flush()
    os.close(sockets.accept(listener)[0])
    around.turn(loop.now() + PATIENCE)
    assert list(ended) == [5]
    assert again == []
    listener.close()
    around.close()
