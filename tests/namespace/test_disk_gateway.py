"""mark-good -g with a real network: what the kernel says of a route, and a gateway that answers late."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.namespace.machine import ROOT, wait_until
from tests.namespace.network import busybox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces")
WAITS = """
import sys
from initfs.disk import mark_good
from initfs.loop import now
raise SystemExit(not mark_good._gateway(now() + float(sys.argv[1])))
"""


@contextmanager
def network(*words: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a network namespace of its own: running, and in it, when this begins."""
    line = ["unshare", "--net", "--", "sh", "-c", 'echo; exec "$@"', "sh", *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **variables}) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def ip(process: subprocess.Popen[bytes], *words: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", *words], check=True)


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A file with one line for each time the gateway was asked; `ping` is the image's."""
    ping = tmp_path / "ping"
    ping.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nexec {busybox("ping")} ping "$@"\n')
    ping.chmod(0o755)
    return tmp_path / "asked"


def test_a_gateway_is_asked_once_there_is_a_route_and_again_until_it_answers(asked: Path) -> None:
    path = f"{asked.parent}:{os.environ['PATH']}"
    with (
        network("sleep", "100000") as far,
        network(sys.executable, "-c", WAITS, "300", PATH=path) as machine,
    ):
        # fmt: off
        subprocess.run(["ip", "link", "add", "eth0", "netns", str(machine.pid), "type", "veth",
                        "peer", "name", "eth0", "netns", str(far.pid)], check=True)
        # fmt: on
        ip(far, "link", "set", "eth0", "up")
        ip(machine, "link", "set", "eth0", "up")
        ip(machine, "address", "add", "10.9.0.2/24", "dev", "eth0")
        assert not asked.exists(), "there is nobody to ask"
        ip(machine, "route", "add", "default", "via", "10.9.0.1")
        wait_until(asked.exists, "the first question")
        assert machine.poll() is None, "nobody has that address yet"
        ip(far, "address", "add", "10.9.0.1/24", "dev", "eth0")

        assert machine.wait(60) == 0
        assert set(asked.read_text().splitlines()) == {"-c 1 -W 2 10.9.0.1"}


def test_a_machine_without_a_route_gives_up_when_the_time_is_over(asked: Path) -> None:
    with network(sys.executable, "-c", WAITS, "0.2", PATH=f"{asked.parent}:{os.environ['PATH']}") as machine:
        assert machine.wait(60) == 1
    assert not asked.exists()
