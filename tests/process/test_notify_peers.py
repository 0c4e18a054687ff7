"""s6's programs wait for our supervisor, and ours for s6's."""

from __future__ import annotations

import signal

import pytest

from initfs.supervise.status import DOWN, RUN
from tests.process.notify_world import Arrivals, Fake, end, heard, ours, real, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib


# s6's program with our status file and our letters.
@pytest.mark.parametrize(
    ("flag", "state", "letters"),
    [
        ("-u", DOWN, "u"),
        ("-U", DOWN, "uU"),
        ("-d", RUN, "d"),
        ("-D", RUN, "dD"),
        ("-u", RUN, ""),
        ("-D", DOWN, ""),
    ],
)
def test_their_svwait_waits_for_our_supervisor(
    flag: str, state: int, letters: str, tmp_path: pathlib.Path
) -> None:
    # SUP-064
    service = Fake(tmp_path / "s")
    service.status(state)
    command = [real("s6-svwait"), flag, "-t9000", str(service.directory)]
    assert heard(command, [service.directory / "event"], lambda: service.become(letters))[0] == 0


def test_their_svlisten1_listens_to_our_supervisor(tmp_path: pathlib.Path) -> None:
    # SUP-065
    service = Fake(tmp_path / "s")
    told = ours("ftrig-notify", service.directory / "event", "uU")
    assert run([real("s6-svlisten1"), "-U", "-t9000", str(service.directory), *told])[0] == 0


def test_our_svwait_waits_for_their_supervisor(tmp_path: pathlib.Path) -> None:
    """A whole life under a real s6-supervise, whose status file has only s6's half."""
    # SUP-064 SUP-068
    directory = tmp_path / "s"
    directory.mkdir()
    (directory / "run").write_text("#!/bin/sh\nexec sleep 999\n")
    (directory / "run").chmod(0o755)
    (directory / "event").mkdir()
    with Arrivals(tmp_path / "s/event") as arrivals:
        waiter = start(ours("ftrig-wait", "-t9000", directory / "event", "s"))
        arrivals.wait()
        supervisor = start([real("s6-supervise"), str(directory)])
        assert end(waiter)[0] == 0
    try:
        assert run(ours("svwait", "-ut9000", directory))[0] == 0
        assert run(ours("svlisten1", "-rt9000", directory, real("s6-svc"), "-r", directory))[0] == 0
        assert run(ours("svlisten1", "-Dt9000", directory, real("s6-svc"), "-d", directory))[0] == 0
        assert run(ours("svlisten1", "-ut9000", directory, real("s6-svc"), "-x", directory))[0] == 102
        assert run(ours("svwait", directory))[0] == 102
    finally:
        supervisor.send_signal(signal.SIGTERM)
        end(supervisor)
