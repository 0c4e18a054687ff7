"""What a descriptor holder has after its own death, a death of the tree, and both."""

from __future__ import annotations

import os
import shlex
import socket
import time

from tests.process.local_world import (
    daemon,
    descriptors,
    holder,
    ours,
    server,
)
from tests.process.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def held_tree(ruled: Path) -> Tree:
    tree = Tree(ruled)
    line = daemon(ruled, "-K", "5")
    tree.add("holder", f"exec {shlex.join(line)}", **{"keep-fd": "5", "notification-fd": "1"})
    return tree


def test_the_holder_survives_its_own_death_and_the_tree_keeps_what_it_held(ruled: Path) -> None:
    with held_tree(ruled) as tree:
        tree.start().wait_for("ready", "holder")
        pipes = [os.pipe() for _ in range(5)]
        with holder(ruled / "s") as held:
            for number, (_, writing) in enumerate(pipes):
                held.store(writing, b"pipe:%d" % number, None if number else time.time_ns() + 10**12)
            held.delete(b"pipe:3")
        for letters in ("k", "t"):
            tree.send("holder", letters)
            tree.wait_for("down", "holder")
            tree.wait_for("ready", "holder")
        with holder(ruled / "s") as held:
            dump = {one.name: one for one in held.get_dump()}
            assert sorted(dump) == [b"pipe:0", b"pipe:1", b"pipe:2", b"pipe:4"]
            assert dump[b"pipe:0"].limit is not None
            os.write(dump[b"pipe:4"].descriptor, b"alive")
            assert os.read(pipes[4][0], 10) == b"alive"


def test_the_holder_survives_a_killed_tree_and_a_death_after_that(ruled: Path) -> None:
    """The next svscan takes the pair back from the process that has it, pidfd_getfd(2)."""
    with held_tree(ruled) as tree:
        tree.start().wait_for("ready", "holder")
        with holder(ruled / "s") as held:
            held.store(0, b"kept")
        tree.wait_furnished("holder")
        assert tree.process is not None
        tree.process.kill()
        tree.process.wait()
        tree.start().wait_for("up", "holder")
        tree.send("holder", "k")
        tree.wait_for("down", "holder")
        tree.wait_for("ready", "holder")
        with holder(ruled / "s") as held:
            assert held.names() == [b"kept"]


def test_the_holder_survives_a_tree_that_executes_itself_anew_while_it_is_dead(ruled: Path) -> None:
    with held_tree(ruled) as tree:
        tree.start().wait_for("ready", "holder")
        reading, writing = os.pipe()
        with holder(ruled / "s") as held:
            held.store(writing, b"kept")
        tree.wait_furnished("holder")
        tree.send("holder", "dk")
        tree.wait_for("down", "holder")  # now only the tree holds it
        assert tree.ours("svscanctl", "--reexec", ".").returncode == 0
        tree.wait_for("renewed")
        tree.send("holder", "u")
        tree.wait_for("ready", "holder")
        with holder(ruled / "s") as held:
            os.write(held.retrieve(b"kept"), b"alive")
        assert os.read(reading, 10) == b"alive"


def test_a_journal_of_many_changes_stays_short(ruled: Path) -> None:
    """A thousand changes and two deaths; what counts is there, the kernel holds no more than that for us."""
    reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(ruled / "s"))
    listener.listen(10)

    def place_pair() -> None:
        os.dup2(reading.fileno(), 20)
        os.dup2(writing.fileno(), 21)

    line = ours("fdholderd", "-1", "-K", "20", "-i", ruled / "rules")
    options: dict[str, Any] = {"stdin": listener.fileno(), "preexec_fn": place_pair, "close_fds": False}
    with server(line, **options), holder(ruled / "s") as held:
        for number in range(500):
            held.store(0, b"%d" % number)
            if number >= 10:
                held.delete(b"%d" % number)
    with server(line, **options) as process, holder(ruled / "s") as held:
        assert held.names() == [b"%d" % number for number in range(10)]
        assert descriptors(process.pid) < 40
    sizes = []
    while True:
        try:
            sizes.append(len(reading.recv(1 << 16, socket.MSG_DONTWAIT)))
        except BlockingIOError:
            break
    assert len(sizes) == 1
    for end in (reading, writing, listener):
        end.close()
