from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.process.chain_tools import code, programs, run, script, start, state, until

if TYPE_CHECKING:
    from pathlib import Path


def test_fghack_stays_until_the_last_process_has_gone(tmp_path: Path) -> None:  # CHA-131
    reader, writer = os.pipe()
    daemon = f"(read line <&3; echo > {tmp_path}/ended) & exit 5"
    held = start("fdmove", "3", str(reader), "fghack", "sh", "-c", daemon, pass_fds=(reader,))
    until(lambda: state(held.pid) == "S", "it waits")
    assert held.poll() is None
    os.close(reader)
    os.close(writer)
    assert held.wait(10) == 5
    assert (tmp_path / "ended").exists()


def test_fghack_reports_the_direct_childs_end() -> None:  # CHA-131
    assert code("fghack", "true") == 0
    assert code("fghack", "sh", "-c", "exit 7") == 7
    assert code("fghack", "sh", "-c", "exit 200") == 128
    assert code("fghack", "sh", "-c", "kill -9 $$") == 128 + 9
    assert code("fghack", "nosuch") == 127


def test_fghack_complains_of_what_is_written_to_its_pipe() -> None:  # CHA-131
    assert code("fghack", "sh", "-c", "echo >&5") == 102


DAEMON = """#!/bin/sh
# A daemon as they were: forks, writes its pid, and its starter leaves.
sh -c 'trap "exit 7" TERM; trap "exit 9" USR1; echo $$ > pid; echo up > up; read line < fifo' &
read line < up
exit 0
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Path:
    for name in ("up", "fifo"):
        os.mkfifo(tmp_path / name)
    script(tmp_path / "daemon", DAEMON)
    return tmp_path


def begun(directory: Path, *options: str) -> subprocess.Popen[bytes]:
    """A watcher whose daemon is up, as its notification says."""
    reader, writer = os.pipe()
    watcher = start(
        "background-watch", "-d", str(writer), *options, "pid", "./daemon", cwd=directory, pass_fds=(writer,)
    )
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"\n"
    return watcher


def test_the_watcher_ends_with_the_daemon_and_its_code(daemon: Path) -> None:  # CHA-132
    watcher = begun(daemon)
    os.kill(int((daemon / "pid").read_text()), signal.SIGTERM)
    assert watcher.wait(10) == 7


def test_the_watcher_hands_signals_on(daemon: Path) -> None:  # CHA-132
    watcher = begun(daemon, "--timeout-ready=9000")
    watcher.send_signal(signal.SIGUSR1)
    assert watcher.wait(10) == 9


def test_a_daemon_that_is_killed_ends_the_watcher_with_that_signal(daemon: Path) -> None:  # CHA-132
    watcher = begun(daemon)
    os.kill(int((daemon / "pid").read_text()), signal.SIGKILL)
    assert watcher.wait(10) == 128 + 9


def test_a_program_that_does_not_go_into_the_background_is_killed(tmp_path: Path) -> None:  # CHA-132
    (tmp_path / "pid").write_text("1\n")
    assert code("background-watch", "-t", "50", "pid", "sleep", "99", cwd=tmp_path) == 137
    assert not (tmp_path / "pid").exists()


def test_a_program_that_fails_is_reported_and_its_pid_file_removed(tmp_path: Path) -> None:  # CHA-132
    assert code("background-watch", "pid", "sh", "-c", "echo 1 > pid; exit 3", cwd=tmp_path) == 3
    assert not (tmp_path / "pid").exists()
    assert code("background-watch", "pid", "nosuch", cwd=tmp_path) == 127
    assert code("background-watch", "pid", "/", cwd=tmp_path) == 126


@pytest.mark.parametrize(
    "content", [None, b"", b"x\n", b"-1\n", b"0\n", b"1\n", b"99999999999\n", b"\xff", b"1 2\n"]
)
def test_a_pid_file_that_names_no_child_of_ours_is_bad(
    tmp_path: Path, content: bytes | None
) -> None:  # CHA-132
    if content is not None:
        (tmp_path / "pid").write_bytes(content)
    assert code("background-watch", "pid", "true", cwd=tmp_path) == 104
    (tmp_path / "self").write_text(f"{os.getpid()}\n")
    assert code("background-watch", "self", "true", cwd=tmp_path) == 104


def cable(first: socket.socket, *options: str, **other: Any) -> subprocess.Popen[bytes]:
    """ioconnect with one socket as descriptors 6 and 7."""
    argv = (
        "redirfd",
        "-r",
        "9",
        "/dev/null",
        "fdmove",
        "-c",
        "6",
        str(first.fileno()),
        "fdmove",
        "-c",
        "7",
        "6",
    )
    return start(
        *argv, "fdclose", str(first.fileno()), "ioconnect", *options, pass_fds=(first.fileno(),), **other
    )


def test_both_directions_flow_until_both_ends(tmp_path: Path) -> None:  # CHA-130
    data = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(data)
    first, second = socket.socketpair()
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        running = cable(first, stdin=source.fileno(), stdout=sink.fileno())
    first.close()
    with second, second.makefile("rb") as reader:
        received = reader.read()  # to the end: ioconnect has shut its side
        second.sendall(received[::-1])
        second.shutdown(socket.SHUT_WR)
        assert running.wait(10) == 0
    assert received == data
    assert (tmp_path / "out").read_bytes() == data[::-1]


def test_idleness_ends_with_1() -> None:  # CHA-130
    first, second = socket.socketpair()
    reader, writer = os.pipe()
    assert cable(first, "-t", "50", stdin=reader).wait(10) == 1
    for fd in (reader, writer):
        os.close(fd)
    first.close()
    second.close()


def test_sigterm_is_the_end_of_input() -> None:  # CHA-130
    first, second = socket.socketpair()
    reader, writer = os.pipe()
    os.write(writer, b"last words")
    running = cable(first, stdin=reader)
    first.close()
    assert second.recv(99) == b"last words"
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0
    assert second.recv(99) == b""
    for fd in (reader, writer):
        os.close(fd)
    second.close()


def test_a_peer_that_has_gone_ends_it() -> None:  # CHA-130
    first, second = socket.socketpair()
    second.close()
    assert cable(first, stdin=os.open("/dev/zero", os.O_RDONLY), stdout=subprocess.DEVNULL).wait(10) == 0
    first.close()


def test_the_legacy_options_are_accepted_and_words_are_not() -> None:  # CHA-130
    assert code("ioconnect", "-0167", "word") == 100
    assert code("ioconnect") == 111  # nobody has given it 6 and 7
    assert code("ioconnect", "-t", "x") == 100


CHECK = """#!/bin/sh
echo check >> checks
test "$(wc -l < checks)" -ge "${GOAL:-1}"
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """What notifyoncheck sees of a service directory whose supervisor lives."""
    for name in ("supervise", "event", "data"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "supervise/control")
    (tmp_path / "notification-fd").write_text("3\n")
    script(tmp_path / "data/check", CHECK)
    return tmp_path


def announced(directory: Path, *options: str, goal: int = 1, program: tuple[str, ...] = ("true",)) -> bytes:
    """What the supervisor would read from the notification descriptor of a service, up to its end."""
    reader, writer = os.pipe()
    argv = ("export", "GOAL", str(goal), "fdmove", "3", str(writer), "notifyoncheck")
    with start(*argv, *options, *program, cwd=directory, pass_fds=(writer,)):
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            return file.read()


def test_readiness_comes_when_the_check_succeeds(service: Path) -> None:  # CHA-133
    assert announced(service, "-w", "1", goal=3) == b"\n"
    assert (service / "checks").read_text() == "check\n" * 3


def test_the_first_check_comes_after_ten_milliseconds_the_next_after_a_second(
    service: Path,
) -> None:  # CHA-133
    begin = time.monotonic()
    assert announced(service, goal=2) == b"\n"
    assert 1.0 < time.monotonic() - begin < 3.0


def test_after_seven_attempts_or_so_many_as_asked_it_gives_up(service: Path) -> None:  # CHA-133
    assert announced(service, "-w", "1", goal=99) == b""
    assert (service / "checks").read_text() == "check\n" * 7
    assert announced(service, "-w", "1", "-n", "2", goal=99) == b""
    assert (service / "checks").read_text() == "check\n" * 9
    assert announced(service, "-w", "1", "-n", "0", goal=20) == b"\n"


def test_a_check_that_takes_too_long_is_killed_and_counts_as_failed(service: Path) -> None:  # CHA-133
    assert (
        announced(service, "-t", "30", "-w", "1", "-n", "2", "-c", 'sh -c "echo >> checks; exec sleep 99"')
        == b""
    )
    assert (service / "checks").read_text() == "\n\n"


def test_there_is_a_limit_for_all_of_it(service: Path) -> None:  # CHA-133
    assert announced(service, "-T", "50", "-c", "sleep 99") == b""
    assert announced(service, "-T", "50", "-w", "9999", "-c", "false") == b""


def test_the_command_is_divided_as_the_launcher_does_it(service: Path) -> None:  # CHA-133
    assert announced(service, "-c", 'test "a b" = a\\ b # comment') == b"\n"
    assert code("notifyoncheck", "-3", "2", "-c", '"', "true", cwd=service) == 100
    assert code("notifyoncheck", "-3", "2", "-c", "# nothing", "true", cwd=service) == 100


def test_with_double_fork_the_program_has_no_child(service: Path) -> None:  # CHA-133
    program = ("sh", "-c", "exec cat /proc/$$/task/$$/children > children")
    assert announced(service, "-d", program=program) == b"\n"
    assert (service / "children").read_text() == ""


def test_the_services_death_ends_the_polling_and_a_running_check(service: Path) -> None:  # CHA-133
    reader, writer = os.pipe()
    os.mkfifo(service / "begun")
    command = 'sh -c "echo $$$$ > begun; exec sleep 99"'.replace("$$$$", "$$")
    argv = ("fdmove", "3", str(writer), "notifyoncheck", "-c", command, "true")
    with start(*argv, cwd=service, pass_fds=(writer,)):
        os.close(writer)
        check = int((service / "begun").read_text())
        (fifo,) = (service / "event").glob("ftrig1:*")
        fifo.write_bytes(b"d")
        assert os.read(reader, 9) == b""
    until(lambda: state(check) in ("", "Z"), "the check has been terminated")
    assert list((service / "event").iterdir()) == []
    os.close(reader)


def test_the_listener_is_there_before_the_program(service: Path) -> None:  # CHA-133
    program = ("sh", "-c", "ls event > listeners")
    assert announced(service, program=program) == b"\n"
    assert (service / "listeners").read_text().startswith("ftrig1:@")


def test_a_supervised_service_becomes_ready_at_the_third_check(tmp_path: Path) -> None:  # CHA-133
    directory = tmp_path / "scan/service"
    (directory / "data").mkdir(parents=True)
    (directory / "notification-fd").write_text("3\n")
    script(directory / "data/check", CHECK)
    initfs = str(programs() / "initfs")
    script(directory / "run", f"#!/bin/sh\nexport GOAL=3\nexec {initfs} notifyoncheck -w 50 sleep 99\n")
    tree = start("initfs", "svscan", str(tmp_path / "scan"))
    try:
        until((directory / "supervise/ok").exists, "the tree is there")
        assert code("initfs", "svc", "-wU", "-T", "9000", "-u", str(directory)) == 0
        assert (directory / "checks").read_text() == "check\n" * 3
    finally:
        tree.send_signal(signal.SIGTERM)
    assert tree.wait(10) == 0


def test_outside_of_a_supervised_service_it_refuses(tmp_path: Path) -> None:  # CHA-133
    assert code("notifyoncheck", "-3", "2", "true", cwd=tmp_path) == 100
    assert code("notifyoncheck", "true", cwd=tmp_path) == 100
    done = run("notifyoncheck", "-3", "77", "true", cwd=tmp_path)
    assert done.stderr == b"notifyoncheck: fatal: unable to use descriptor 77: Bad file descriptor\n"
