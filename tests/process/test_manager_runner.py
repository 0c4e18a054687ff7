"""The oneshot runner: its kept connections, alone with scripts that are numbers, and in a tree."""

from __future__ import annotations

import os
import select
import signal
import socket
from errno import EACCES, EIO, ETIMEDOUT
from typing import TYPE_CHECKING

import pytest

from initfs import loop
from initfs.local import sockets
from initfs.manager import orders, serving
from tests.process.manager_world import RUNNER, World
from tests.process.tree import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST = 3


class Desk:
    """A server whose scripts are numbers: it begins one with the pid 1000 + service, unless that is to fail."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self.around = loop.Loop()
        self.path = str(folder / "s")
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
        socket.send_fds(made, [orders.GREETING], [0, 1, 2])
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
        (b"rc orders 2\n", [0, 1, 2]),
        (orders.GREETING, [0, 1]),
        (orders.GREETING, [0, 1, 2, 0]),
        (b"x", [0, 1, 2]),
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


def test_a_script_has_its_time_from_its_own_start(world: World) -> None:
    # SM-170 (partly)
    world.oneshot("short", timeout_up="300\n")
    world.longrun("never", "exec sleep 1000", notification_fd="3\n", timeout_up="700\n")
    world.begin()
    world.rc("start", RUNNER)
    runner = world.pid(RUNNER)
    os.kill(runner, signal.SIGSTOP)
    try:
        changing = world.start("rc", "-l", world.live, "change", "short", "never")
        world.tree.wait_for("finished", "never")  # more than its time is over, and it has not begun
    finally:
        os.kill(runner, signal.SIGCONT)
    said, _ = changing.communicate(timeout=PATIENCE)
    assert said.startswith("rc: warning: never: unable to start it: timed out"), (
        "though its time is the longer one"
    )


def test_a_runner_that_is_killed_is_noticed_though_a_copy_of_it_runs_a_chain(world: World) -> None:
    # SM-189 (partly)
    os.mkfifo(world.base / "go")
    script = f'sh -c "echo begun >{world.tree.ear.path}; read -r line <{world.base}/go; echo over >{world.tree.ear.path}"'
    world.oneshot("chained", "unused")
    (world.source / "chained/up").write_text(f"foreground {{ {script} }} true\n")
    world.begin()
    changing = world.start("rc", "-l", world.live, "change", "chained")
    world.tree.ear.until("begun")
    os.kill(world.pid(RUNNER), signal.SIGKILL)
    assert changing.wait(PATIENCE) == 1
    (world.base / "go").write_text("go\n")  # only now does the copy end
    world.tree.ear.until("over")
    said, _ = changing.communicate(timeout=PATIENCE)
    assert "chained: unable to start it: the oneshot runner hung up" in said


def test_the_command_of_a_dry_run_does_the_same_by_hand(world: World) -> None:
    # SM-187 (partly) SM-189 (partly)
    world.oneshot("a", "echo up $RC_NAME", "exit 5")
    world.begin()
    world.rc("start", RUNNER)
    line = world.rc("-n0", "change", "a").stdout.partition(" # ")[0]
    words = line.removeprefix("rc-dryrun: ").split()
    at = words.index("--") + 1
    words[at] = "s"  # a socket's path may have 107 bytes
    done = world.tree.ours(*words, cwd=world.servicedir(RUNNER))
    assert (done.returncode, done.stdout) == (0, "up a\n"), done.stderr
    down = world.tree.ours(*words[:-2], "down", words[-1], cwd=world.servicedir(RUNNER))
    assert down.returncode == 5, down.stderr
