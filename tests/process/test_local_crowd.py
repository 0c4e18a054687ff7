"""A server and its assistants: a crowd is started by several processes, and counted by one."""

from __future__ import annotations

import os
import pathlib
import re
import select
import signal
import sys

import pytest

from tests.process.local_world import (
    PATIENCE,
    START,
    connect,
    descriptors,
    everything,
    server,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import subprocess
    from pathlib import Path

NUMBERED = ["sh", "-c", "echo $PPID $IPCCONNNUM; exec cat"]


def crowded(*words: object, idle: float = 10.0) -> list[str]:
    """An ipcserver to which connections are a crowd however slow the machine is."""
    given = f"from initfs.local import jobs; jobs.GAP, jobs.IDLE = 60.0, {idle}; from initfs.main"
    return [
        sys.executable,
        "-IS",
        "-c",
        START.replace("from initfs.main", given),
        "ipcserver",
        "-1",
        *map(str, words),
    ]


def crowd(process: subprocess.Popen[bytes], path: Path, size: int) -> tuple[list[socket.socket], int]:
    """SIZE connections that stay, too few for a second assistant, and the pid of the first, that has started some of them."""
    held = [connect(path) for _ in range(size)]
    told = [one.makefile("rb").readline().split() for one in held]
    assert {int(number) for _, number in told} == set(range(1, size + 1))  # one of them counts
    (assistant,) = {int(parent) for parent, _ in told} - {process.pid}
    return held, assistant


def leave(held: list[socket.socket]) -> None:
    for one in held:
        one.close()


def children(pid: int) -> list[str]:
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


several = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor: no assistant")


@several
def test_a_crowd_is_started_by_two_processes_and_counted_by_one(path: Path, tmp_path: Path) -> None:
    # LOC-153 (partly)
    log = tmp_path / "log"
    with server(crowded("-v", "-c", "99", "-C", "45", path, *NUMBERED), log=log) as process:
        before = descriptors(process.pid)
        held, assistant = crowd(process, path, 45)
        assert everything(connect(path)) == b""  # the 46th of a user
        process.send_signal(signal.SIGHUP)
        for one in held:
            assert everything(one) == b""  # whoever's child it was
        until(lambda: re.search(r"end pid \d+ signal 15 count 0 total 0/99\n", log.read_text()))
        text = log.read_text()
        assert (text.count("allow pid"), text.count("end pid")) == (45, 45)
        assert descriptors(process.pid) == before + 1  # the connection to the assistant
        assert descriptors(assistant) <= before + 1
        one = connect(path)
        one.recv(20)
        process.terminate()
        assert process.wait(PATIENCE) == 0
        until(lambda: not os.path.exists(f"/proc/{assistant}"))
        one.sendall(b"still\n")
        assert one.recv(6) == b"still\n"
        assert "warning" not in log.read_text()


@several
def test_who_was_let_in_is_served_by_the_assistant_when_the_server_ends(path: Path) -> None:
    with server(crowded("-c", "99", "-C", "99", path, *NUMBERED)) as process:
        held, assistant = crowd(process, path, 45)
        os.kill(assistant, signal.SIGSTOP)
        late = [connect(path) for _ in range(12)]
        # It has few jobs at most: the server serves the last one, so all are in.
        select.select(late[-1:], [], [], PATIENCE)
        process.terminate()
        assert process.wait(PATIENCE) == 0
        os.kill(assistant, signal.SIGCONT)
        told = [one.recv(20).split() for one in late]
        assert sorted(int(number) for _, number in told) == list(range(46, 58))
        leave(held)


@several
def test_a_second_assistant_helps_when_the_first_has_enough_to_do_and_both_go_with_the_server(
    path: Path,
) -> None:
    with server(crowded("-c", "150", "-C", "150", path, *NUMBERED)) as process:
        held, first = crowd(process, path, 45)
        os.kill(first, signal.SIGSTOP)
        late = [connect(path) for _ in range(45)]  # too few for a third one
        parents = {process.pid, first}
        waiting = set(late)
        while parents == {process.pid, first}:
            (one, *_), _, _ = select.select(waiting, [], [], PATIENCE)
            parents.add(int(one.makefile("rb").readline().split()[0]))
            waiting.discard(one)
        (second,) = parents - {process.pid, first}
        os.kill(first, signal.SIGCONT)
        for one in waiting:
            assert one.recv(20)
        process.terminate()
        assert process.wait(PATIENCE) == 0
        until(lambda: not os.path.exists(f"/proc/{first}") and not os.path.exists(f"/proc/{second}"))
        leave([*held, *late])


@several
def test_the_death_of_the_assistant_costs_nobody_else_anything(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with server(crowded("-v", "-c", "45", "-C", "45", path, *NUMBERED), log=log) as process:
        held, assistant = crowd(process, path, 45)
        os.kill(assistant, signal.SIGKILL)
        until(lambda: "an assistant has died" in log.read_text())
        again = connect(path)  # there is room: its connections do not count any more
        assert again.recv(20).startswith(b"%d " % process.pid)
        held[0].sendall(b"still\n")
        assert held[0].recv(6) == b"still\n"
        leave([*held, again])
        until(lambda: not children(process.pid))
        leave(crowd(process, path, 45)[0])  # it has another one


@several
def test_an_assistant_is_dismissed_when_no_crowd_comes_any_more(path: Path) -> None:
    with server(crowded("-c", "45", "-C", "45", path, *NUMBERED, idle=0.1)) as process:
        held, assistant = crowd(process, path, 45)
        assert os.path.exists(f"/proc/{assistant}")  # as long as it has children
        leave(held)
        until(lambda: not os.path.exists(f"/proc/{assistant}"))
        one = connect(path)
        assert one.recv(20).startswith(b"%d " % process.pid)
