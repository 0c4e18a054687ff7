"""The bridges between the two ways to announce readiness, and the old wrapper, with real daemons of a few lines."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from initfs import tai
from initfs.notify import fifodir
from initfs.notify.fd_from_socket import ready
from initfs.supervise import status as layout
from initfs.supervise.status import RUN
from tests.process.notify_world import ENVIRONMENT, PATIENCE, Fake, end, ours, real, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    import subprocess

SEND = (
    "import os,socket,sys;"
    "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);"
    "a=os.environ['NOTIFY_SOCKET'];a=chr(0)+a[1:] if a[0]=='@' else a;"
    "[s.sendto(word.encode().decode('unicode_escape').encode(),a) for word in sys.argv[1:]];"
    "sys.stdin.read()"
)


def daemon(*datagrams: str) -> list[str]:
    """A daemon that sends each of DATAGRAMS and lives until its standard input ends."""
    return [sys.executable, "-c", SEND, *datagrams]


def bridge(
    options: list[str], program: list[str], directory: pathlib.Path
) -> tuple[subprocess.Popen[bytes], int]:
    """A daemon under notify-fd-from-socket, and the supervisor's end of its notification pipe."""
    reader, writer = os.pipe()
    command = ours("notify-fd-from-socket", *(options or ["-3", str(writer)]), *program)
    process = start(command, pass_fds=[writer], stdin=-1, cwd=directory)
    os.close(writer)
    return process, reader


def everything(reader: int) -> bytes:
    """All that comes until the last writer has closed."""
    with open(reader, "rb") as file:
        return file.read()


@pytest.mark.parametrize("options", [[], ["-f"], ["-t", "9000"], ["--no-doublefork", "--timeout=9000"]])
@pytest.mark.parametrize("datagrams", [["READY=1"], ["STATUS=soon", "STATUS=now\\nREADY=1\\n"]])
def test_a_datagram_becomes_a_newline(
    options: list[str], datagrams: list[str], tmp_path: pathlib.Path
) -> None:
    # NOT-149
    reader, writer = os.pipe()
    command = ours("notify-fd-from-socket", "-3", writer, *options, *daemon(*datagrams))
    process = start(command, pass_fds=[writer], stdin=-1)
    os.close(writer)
    assert everything(reader) == b"\n"  # while the daemon lives: nobody else holds the pipe
    assert process.poll() is None
    assert end(process) == (0, "", "")


@pytest.mark.parametrize("datagrams", [[], ["XREADY=1"], ["STATUS=READY=1"], ["READY=10"], ["READY=0"], [""]])
def test_nothing_else_does(datagrams: list[str], tmp_path: pathlib.Path) -> None:
    # NOT-149
    reader, writer = os.pipe()
    (tmp_path / "notification-fd").write_text(f"{writer}\n")
    process = start(
        ours("notify-fd-from-socket", *daemon(*datagrams)), pass_fds=[writer], stdin=-1, cwd=tmp_path
    )
    os.close(writer)
    assert end(process)[0] == 0
    assert everything(reader) == b""  # and its bridge ended with it


def test_systemds_own_notifier_is_understood(tmp_path: pathlib.Path) -> None:
    # NOT-149
    script = f"{real('systemd-notify')} --ready; echo sent; read line || :"
    process, reader = bridge([], ["sh", "-c", script], tmp_path)
    assert everything(reader) == b"\n"
    assert process.poll() is None
    assert end(process)[:2] == (0, "sent\n")


def test_after_the_timeout_the_daemon_just_is_not_ready(tmp_path: pathlib.Path) -> None:
    # NOT-149
    reader, writer = os.pipe()
    process = start(
        ours("notify-fd-from-socket", "-t", "50", "-3", writer, *daemon()), pass_fds=[writer], stdin=-1
    )
    os.close(writer)
    assert everything(reader) == b""
    assert process.poll() is None
    assert end(process)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["true"], 100, "no -3 and no file notification-fd"),
        (["-3", "1"], 100, "usage"),
        (["-3", "77", "true"], 111, "unable to bridge to descriptor 77: Bad file descriptor"),
        (["-3", "1", "./nothing"], 127, "unable to run ./nothing"),
        (["-3", "x", "true"], 100, "usage"),
    ],
)
def test_errors_have_their_codes(words: list[str], code: int, said: str, tmp_path: pathlib.Path) -> None:
    found, _, err = run(ours("notify-fd-from-socket", *words), cwd=tmp_path)
    assert found == code
    assert said in err


def test_a_notification_fd_that_is_no_number_is_100(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notification-fd").write_text("three\n")
    assert run(ours("notify-fd-from-socket", "true"), cwd=tmp_path)[0] == 100
    assert run(ours("notifywhenup", "true"), cwd=tmp_path)[0] == 100


def test_a_flood_of_datagrams_does_not_hide_the_one_that_counts() -> None:
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    told = ready(receiver)
    sender.setblocking(False)
    sent = 0
    while sent < 2000:
        try:
            sender.send(b"STATUS=x" if sent != 1500 else b"READY=1")
            sent += 1
        except BlockingIOError:
            answer = told()
            if answer:
                break
    assert sent >= 1500
    assert answer or told()
    receiver.close()
    sender.close()


class Manager:
    """A supervisor that reads NOTIFY_SOCKET, as systemd does for Type=notify."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE)
        name = "@" + path[1:] if path.startswith("\0") else path
        self.environment = {**ENVIRONMENT, "NOTIFY_SOCKET": name}

    def receive(self) -> list[str]:
        """The lines of one datagram; descriptors that came with it are closed."""
        data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 4)
        for fd in descriptors:
            os.close(fd)
        return [*data.decode().split("\n"), *["and a descriptor"] * len(descriptors)]


READY_ON = "import os,sys; os.write({fd}, b'one moment\\n'); os.close({fd}); sys.stdin.read()"


@pytest.mark.parametrize("options", [[], ["-f"], ["-d", "5"], ["-t", "9000", "-k"]])
@pytest.mark.parametrize("abstract", [False, True])
def test_a_newline_becomes_datagrams(options: list[str], abstract: bool, tmp_path: pathlib.Path) -> None:
    # NOT-150
    manager = Manager(f"\0{tmp_path}" if abstract else f"{tmp_path}/notify")
    program = [sys.executable, "-c", READY_ON.format(fd=5 if "-d" in options else 1)]
    process = start(ours("notify-socket-from-fd", *options, *program), stdin=-1, env=manager.environment)
    assert manager.receive() == ["READY=1", f"MAINPID={process.pid}"]
    assert manager.receive() == ["BARRIER=1", "and a descriptor"]
    assert end(process)[0] == 0
    manager.socket.close()


@pytest.mark.parametrize("keep", [False, True])
def test_the_variable_is_kept_only_on_request(keep: bool, tmp_path: pathlib.Path) -> None:
    # NOT-150
    manager = Manager(f"{tmp_path}/notify")
    script = "echo ${NOTIFY_SOCKET-gone} >&2"
    words = ["-k"] * keep
    code, _, said = run(ours("notify-socket-from-fd", *words, "sh", "-c", script), env=manager.environment)
    assert (code, said) == (0, f"{tmp_path}/notify\n" if keep else "gone\n")
    manager.socket.close()


def test_without_a_socket_the_program_is_just_run() -> None:
    # NOT-150
    assert run(ours("notify-socket-from-fd", "echo", "hello")) == (0, "hello\n", "")


def test_a_daemon_that_closes_without_a_newline_announces_nothing(tmp_path: pathlib.Path) -> None:
    # NOT-150
    manager = Manager(f"{tmp_path}/notify")
    script = "printf almost; exec >&2; read line || :"
    assert run(ours("notify-socket-from-fd", "sh", "-c", script), stdin=-1, env=manager.environment)[0] == 0
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.receive()
    manager.socket.close()


def test_an_address_of_another_kind_is_refused() -> None:
    code, _, said = run(
        ours("notify-socket-from-fd", "true"), env={**ENVIRONMENT, "NOTIFY_SOCKET": "vsock:2:1"}
    )
    assert code == 100
    assert "neither a path nor an abstract name: vsock:2:1" in said


def test_both_bridges_in_a_row_hand_readiness_through(tmp_path: pathlib.Path) -> None:
    # NOT-149 NOT-150
    reader, writer = os.pipe()
    inner = ours("notify-socket-from-fd", sys.executable, "-c", READY_ON.format(fd=1))
    process = start(ours("notify-fd-from-socket", "-3", writer, *inner), pass_fds=[writer], stdin=-1)
    os.close(writer)
    assert everything(reader) == b"\n"
    assert end(process)[0] == 0


def flags(service: Fake) -> int:
    return (service.directory / "supervise/status").read_bytes()[34]


@pytest.mark.parametrize("options", [[], ["-f"], ["-d", "6"], ["-t9000", "-e", "event"]])
def test_the_old_wrapper_records_and_tells_readiness(options: list[str], tmp_path: pathlib.Path) -> None:
    # NOT-151
    service = Fake(tmp_path / "s")
    told = fifodir.Subscription(str(service.directory / "event"))
    program = [sys.executable, "-c", READY_ON.format(fd=6 if "-d" in options else 1)]
    # The supervisor's view: the pid in the status file is that of the wrapper, and then of the daemon.
    script = f"import sys; sys.path.insert(0, {ENVIRONMENT['PYTHONPATH']!r})\n" + BECOME
    wrapped = [sys.executable, "-c", script, *ours("notifywhenup", *options, *program)]
    process = start(wrapped, stdin=-1, cwd=service.directory)
    os.set_blocking(told.fd, True)
    assert told.read() == b"U"
    said = layout.decode((service.directory / "supervise/status").read_bytes())
    assert (said.state, said.pid, said.ready, said.wanted) == (RUN, process.pid, True, True)
    assert tai.unpack((service.directory / "supervise/ready").read_bytes()) > 0
    assert end(process)[0] == 0
    told.close()


BECOME = """
import os
from initfs import files
from initfs.supervise.status import RUN, Status, encode
files.write("supervise/status", encode(Status(RUN, os.getpid(), True, False, False, False, True, 0, 0)))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_status_of_another_life_is_not_touched(tmp_path: pathlib.Path) -> None:
    # NOT-151
    service = Fake(tmp_path / "s", up=True)
    before = flags(service)
    told = fifodir.Subscription(str(service.directory / "event"))
    process = start(
        ours("notifywhenup", sys.executable, "-c", READY_ON.format(fd=1)), stdin=-1, cwd=service.directory
    )
    os.set_blocking(told.fd, True)
    assert told.read() == b"U"
    assert flags(service) == before
    end(process)
    told.close()


@pytest.mark.parametrize(
    "words",
    [
        ["-t40", "sh", "-c", "exec 2>&-; read line; echo"],
        ["sh", "-c", "printf almost; exec >&- 2>&-; read line"],
    ],
)
def test_a_late_or_missing_newline_has_no_effect(words: list[str], tmp_path: pathlib.Path) -> None:
    # NOT-151
    service = Fake(tmp_path / "s", up=True)
    with fifodir.Subscription(str(service.directory / "event")) as told:
        reader, writer = os.pipe()  # held by the wrapper's other process as standard error until it ends
        process = start(ours("notifywhenup", *words), stdin=-1, stderr=writer, cwd=service.directory)
        os.close(writer)
        assert everything(reader) == b""
        end(process)
        assert told.read() == b""
    assert not (service.directory / "supervise/ready").exists()


def test_with_a_notification_fd_the_old_wrapper_steps_aside(tmp_path: pathlib.Path) -> None:
    # NOT-151
    reader, writer = os.pipe()
    (tmp_path / "notification-fd").write_text(f"{writer}\n")
    process = start(
        ours("notifywhenup", sys.executable, "-c", READY_ON.format(fd=1)),
        pass_fds=[writer],
        stdin=-1,
        cwd=tmp_path,
    )
    os.close(writer)
    assert everything(reader) == b"one moment\n"
    assert process.poll() is None
    assert end(process)[0] == 0
    assert run(ours("notifywhenup", "true"), cwd=tmp_path)[0] == 111  # nobody gave it that descriptor
