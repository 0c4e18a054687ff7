"""The agent of the guest, as it is packed, on a terminal pair instead of a virtio port."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemu import agent
from qemu.events import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(agent.__file__).parent / "services/agent/data/agent"
LIMIT = 30.0  # seconds for what takes a tenth of one


class Host:
    """Our end of the port."""

    def __init__(self) -> None:
        self.fd, theirs = pty.openpty()
        tty.setraw(self.fd)
        tty.setraw(theirs)
        # A shell's job in the background has SIGINT ignored, and so has what it starts.
        deaf = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
        self.process = subprocess.Popen(
            [*deaf, sys.executable, "-IS", PROGRAM, os.ttyname(theirs)], stderr=subprocess.PIPE
        )
        os.set_blocking(self.fd, False)
        self.lines = Lines()
        self.jobs = agent.Jobs()

    def begin(
        self, *words: str, timeout: float = 0, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> agent.Job:
        number, job = self.jobs.new()
        for line in agent.request(number, words, timeout, env or {}, stdin):
            self.send(line)
        return job

    def send(self, line: str) -> None:
        data = line.encode()
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                self.hear(time.monotonic() + LIMIT, select.POLLIN | select.POLLOUT)

    def hear(self, deadline: float, mask: int = select.POLLIN) -> None:
        poll = select.poll()
        poll.register(self.fd, mask)
        for _, seen in poll.poll(max(0, deadline - time.monotonic()) * 1000) or [(0, 0)]:
            assert seen, "not in time"
            if seen & select.POLLIN:
                for line in self.lines.feed(os.read(self.fd, 65536)):
                    self.jobs.heard(line)

    def result(self, job: agent.Job) -> agent.Result:
        deadline = time.monotonic() + LIMIT
        while job.result is None:
            self.hear(deadline)
        return job.result

    def run(self, *words: str, **more: Any) -> agent.Result:
        return self.result(self.begin(*words, **more))


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.process.kill()
    host.process.communicate()
    os.close(host.fd)


def test_output_errors_and_status_come_back(host: Host) -> None:
    assert host.run("sh", "-c", "echo out; echo err >&2; exit 7") == agent.Result(7, "out\n", "err\n")


def test_a_death_by_signal_comes_back(host: Host) -> None:
    assert host.run("sh", "-c", "kill -9 $$").returncode == -signal.SIGKILL


def test_what_does_not_exist_is_127_and_what_is_no_program_126(host: Host) -> None:
    assert host.run("/none/such").returncode == 127
    assert host.run("/etc/passwd").returncode == 126


def test_standard_input_of_any_size_arrives(host: Host) -> None:
    data = os.urandom(300_000)

    result = host.run("sha256sum", stdin=data)

    assert (
        result.stdout
        == subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.decode()
    )


def test_without_standard_input_there_is_an_end_of_file(host: Host) -> None:
    assert host.run("cat") == agent.Result(0, "", "")


def test_a_command_that_does_not_read_its_input_ends_all_the_same(host: Host) -> None:
    assert host.run("true", stdin=b"x" * 200_000).returncode == 0


def test_more_output_than_any_buffer_holds_arrives_whole(host: Host) -> None:
    result = host.run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")

    assert len(result.stdout) == 3_000_000


def test_several_commands_run_at_once(host: Host) -> None:
    slow = host.begin("sh", "-c", "read line; echo $line", stdin=b"")
    number, waiting = host.jobs.new()
    host.send(json.dumps({"id": number, "run": ["head", "-n1"], "stdin": True}) + "\n")

    assert host.run("echo", "quick").stdout == "quick\n"
    assert host.result(slow).returncode == 0
    assert waiting.result is None

    host.send(json.dumps({"id": number, "stdin": base64.b64encode(b"now\n").decode()}) + "\n")
    assert host.result(waiting).stdout == "now\n"


def test_a_command_whose_time_is_over_is_ended(host: Host) -> None:
    result = host.run("sleep", "1000", timeout=0.1)

    assert (result.returncode, result.late) == (-signal.SIGTERM, True)


@pytest.mark.parametrize(
    ("command", "signum"),
    [(["sleep", "1000"], signal.SIGINT), (["sh", "-c", "sleep 1000; true"], signal.SIGTERM)],
)
def test_a_command_can_be_signalled_with_all_it_started(
    host: Host, command: list[str], signum: signal.Signals
) -> None:
    number, job = host.jobs.new()
    host.send(json.dumps({"id": number, "run": command}) + "\n")
    host.send(json.dumps({"id": number, "kill": signum}) + "\n")

    assert host.result(job).returncode == -signum


def test_what_a_command_leaves_behind_is_not_waited_for(host: Host) -> None:
    assert host.run("sh", "-c", "sleep 20 & echo done") == agent.Result(0, "done\n", "")


def test_a_command_has_a_session_a_path_and_the_environment_it_was_given(host: Host) -> None:
    shown = host.run(
        "sh", "-c", "echo $$ $(ps -o sid= -p $$) $PATH $MORE", env={"MORE": "more"}
    ).stdout.split()

    assert shown[0] == shown[1]
    assert shown[2:] == ["/usr/bin:/bin:/usr/sbin:/sbin", "more"]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "{}",
        '{"id": 1, "kill": 9999}',
        '{"id": 99, "run": []}',
        '{"id": 99, "run": 5}',
        '{"id":[],"kill":1}',
    ],
)
def test_nonsense_is_answered_and_does_no_harm(host: Host, bad: str) -> None:
    host.send(bad + "\n")

    assert host.run("echo", "alive").stdout == "alive\n"


def test_when_the_host_leaves_the_commands_end(host: Host, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    host.begin("sh", "-c", f"exec sleep 1000 >{fifo}")
    with open(fifo, "rb") as reader:  # opens when the command has it open
        os.close(host.fd)
        host.fd = os.open(os.devnull, os.O_RDWR)
        poll = select.poll()
        poll.register(reader, select.POLLIN)

        assert poll.poll(LIMIT * 1000), "the command is still there"
        assert reader.read() == b""


def test_without_a_port_there_is_a_clear_message() -> None:
    process = subprocess.Popen([sys.executable, "-IS", PROGRAM, "/none/port"], stderr=subprocess.PIPE)
    assert process.stderr
    with process.stderr as said:
        assert said.readline() == b"agent: fatal: unable to open /none/port: No such file or directory\n"
    process.kill()
    process.wait()
