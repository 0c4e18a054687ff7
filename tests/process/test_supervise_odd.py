"""Odd things in the place of files and directories, lies in them, and what is taken away: no trouble for anybody else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from initfs import files, tai
from initfs.notify import fifodir
from initfs.supervise.status import RUN, Status, encode
from tests.process.fuzzed import Fuzzed, lose
from tests.process.service import make_service
from tests.process.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Fuzzed]:
    with Fuzzed(tmp_path) as tree:
        yield tree.begin()


def test_odd_things_in_the_place_of_every_file_are_no_news_for_the_others(tree: Fuzzed) -> None:
    made = []
    for number, name in enumerate(
        ("finish", "down", "notification-fd", "supervise", "run", "timeout-kill", "check", "data")
    ):
        for kind in ("directory", "fifo", "loop", "device", "socket"):
            service = make_service(tree.base / f"odd{number}{kind}")
            path = service / name
            path.unlink(missing_ok=True)
            if kind == "directory":
                path.mkdir()
            elif kind == "fifo":
                os.mkfifo(path)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as bound:
                    here = os.getcwd()
                    os.chdir(service)
                    bound.bind(name)
                    os.chdir(here)
            else:
                path.symlink_to(name if kind == "loop" else "/dev/null")
            (tree.scandir / service.name).symlink_to(service)
            made.append(service.name)
    tree.control("a")
    tree.check()
    for name in made:
        if (tree.base / name / "supervise/control").is_fifo():
            with contextlib.suppress(OSError):  # nobody may be there to hear it
                files.send(str(tree.base / name / "supervise/control"), b"udu")
    tree.check()
    said = tree.said.splitlines()
    assert max(map(said.count, said), default=0) <= 3, "once, or once for each scan"


def test_an_event_directory_that_cannot_be_used_is_said_once(tree: Fuzzed) -> None:
    service = make_service(tree.base / "odd")
    (service / "event").write_text("somebody's")
    (tree.scandir / "odd").symlink_to(service)
    tree.control("a")
    tree.wait_said("odd: unable to use event/")
    tree.wait_for("up", "odd")
    tree.send("odd", "d")
    tree.wait_for("finished", "odd")
    tree.settle()
    assert tree.said.count("odd: ") == 1


def lie(pid: int, since: int = 0) -> bytes:
    return encode(
        Status(
            state=RUN,
            pid=pid,
            wanted=True,
            ready=True,
            paused=False,
            termed=False,
            ran=True,
            wait_status=0,
            changed=time.time_ns(),
            since=since,
        )
    )


def test_a_status_file_that_names_a_stranger_gets_nobody_adopted_or_signalled(tmp_path: Path) -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    strangers = [subprocess.Popen(["sleep", "999"], start_new_session=True) for _ in range(3)]
    try:
        with Tree(tmp_path) as tree:
            lies = [
                lie(strangers[0].pid),
                lie(strangers[1].pid, now - 60_000_000),
                lie(strangers[2].pid, now + 60_000_000),
            ]
            lies += [
                lie(1, now),
                lie(2**31 - 1, now),
                lie(os.getpid(), now),
                lie(0, now),
                b"",
                b"\xff" * 51,
                b"\0" * 20,
            ]
            lies += [tai.pack(0) + b"\xff" * 39]
            for number, content in enumerate(lies):
                service = tree.add(f"s{number}")
                (service / "supervise").mkdir()
                (service / "supervise/status").write_bytes(content)
                (service / "supervise/pid").write_bytes(b"%d\n" % strangers[0].pid)
            tree.start()
            for number in range(len(lies)):
                pid = tree.wait_for("up", f"s{number}")["pid"]
                assert pid not in [1, os.getpid(), *(stranger.pid for stranger in strangers)]
            tree.settle()
            for number in range(len(lies)):
                tree.send(f"s{number}", "k")
            assert tree.stop() == 0
            assert "bug" not in tree.said
        assert all(stranger.poll() is None for stranger in strangers)
    finally:
        for stranger in strangers:
            stranger.kill()
            stranger.wait()


def test_junk_in_an_event_directory_hinders_nobody(tree: Fuzzed) -> None:
    event = tree.target / "event"
    stamp = tai.label(time.time_ns())
    plain = [event / f"ftrig1:{stamp}:{kind}" for kind in ("file00", "direct", "link00", "device", "socket")]
    plain[0].write_text("kept")
    plain[1].mkdir()
    plain[2].symlink_to(tree.base / "ear")
    plain[3].symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(event)
        bound.bind(plain[4].name)
        os.chdir(here)
    stale, short, deaf = (
        event / name for name in (f"ftrig1:{stamp}:stale0", "ftrig1:@short", f"ftrig1:{stamp}:deaf00")
    )
    for fifo in (stale, short, deaf):
        os.mkfifo(fifo)
    reader = os.open(deaf, os.O_RDWR | os.O_NONBLOCK)
    while True:
        try:
            os.write(reader, b"." * 4096)
        except BlockingIOError:
            break
    with fifodir.Subscription(str(event)) as listener:
        tree.send("target", "d")
        tree.wait_for("finished", "target")
        tree.check()
        assert listener.read() == b"dD"
    os.close(reader)
    assert plain[0].read_text() == "kept"
    assert all(path.is_symlink() or path.exists() for path in plain[:4])
    assert not stale.exists(), "nobody reads it"
    assert short.exists()
    assert tree.ear.lines() == [], "a link is not followed"


def test_a_directory_that_loses_everything_while_it_runs_is_no_trouble_for_the_others(tree: Fuzzed) -> None:
    lose(tree.target / "event")
    tree.send("target", "ku")
    tree.check()
    pid = tree.status("target").pid
    lose(tree.target / "supervise")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid or 2**31 - 1, signal.SIGKILL)
    tree.check()
    shutil.rmtree(tree.target)
    tree.control("an")
    tree.check()
    tree.wait_for("released", "target")
