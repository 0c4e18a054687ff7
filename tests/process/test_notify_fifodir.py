"""Fifodirs with real FIFOs: nothing is lost, nothing blocks, nothing but a FIFO is ever written to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initfs.notify import fifodir
from initfs.notify.fifodir import Subscription
from tests.process.notify_world import ENVIRONMENT, Arrivals, ours, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

NAME = "ftrig1:@400000006b00174634b02fd5:DO70J"


@pytest.fixture
def event(tmp_path: pathlib.Path) -> str:
    fifodir.ensure(str(tmp_path / "event"))
    return str(tmp_path / "event")


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_mkfifodir_makes_a_public_one_or_one_for_a_group(tmp_path: pathlib.Path) -> None:
    # NOT-142
    public, restricted = str(tmp_path / "d"), str(tmp_path / "e")
    gid = os.getgid()
    assert run(ours("mkfifodir", public))[0] == 0
    assert run(ours("mkfifodir", "-g", gid, restricted))[0] == 0
    assert mode(public) == 0o1733
    assert mode(restricted) == 0o3730
    assert os.stat(restricted).st_gid == gid


def test_mkfifodir_leaves_what_exists_unless_forced(tmp_path: pathlib.Path) -> None:
    # NOT-142
    there = str(tmp_path / "d")
    os.mkdir(there, 0o700)
    assert run(ours("mkfifodir", there))[0] == 0
    assert mode(there) == 0o700
    assert run(ours("mkfifodir", "-f", there))[0] == 0
    assert mode(there) == 0o1733
    (tmp_path / "file").touch()
    code, _, said = run(ours("mkfifodir", "-f", tmp_path / "file"))
    assert (code, said) == (111, f"mkfifodir: fatal: unable to make {tmp_path / 'file'}: File exists\n")


@pytest.mark.parametrize(
    "words",
    [["mkfifodir"], ["mkfifodir", "-g", "x", "d"], ["cleanfifodir"], ["ftrig-notify", "d"], ["ftrig-notify"]],
)
def test_wrong_usage_is_100(words: list[str], tmp_path: pathlib.Path) -> None:
    code, _, said = run(ours(*words), cwd=tmp_path)
    assert code == 100
    assert "usage: " in said


def test_an_event_directory_is_made_for_our_group_and_then_left_alone(tmp_path: pathlib.Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    old = os.umask(0o077)
    fifodir.ensure("event", at)
    os.umask(old)
    assert mode(str(tmp_path / "event")) == 0o3730
    assert os.stat(tmp_path / "event").st_gid == os.getegid()
    os.chmod(tmp_path / "event", 0o1733)
    fifodir.ensure("event", at)
    assert mode(str(tmp_path / "event")) == 0o1733
    os.symlink("elsewhere", tmp_path / "link")
    fifodir.ensure("link", at)
    assert mode(str(tmp_path / "elsewhere")) == 0o3730
    os.close(at)


def test_a_listener_has_the_name_and_the_mode_that_notifiers_expect(event: str) -> None:
    old = os.umask(0o077)
    with Subscription(event):
        os.umask(old)
        (name,) = os.listdir(event)
        assert len(name) == 39
        assert name.startswith("ftrig1:@40000000")
        assert name[32] == ":"
        found = os.stat(f"{event}/{name}")
        assert stat.S_ISFIFO(found.st_mode)
        assert mode(f"{event}/{name}") == 0o622
    assert os.listdir(event) == []


def test_each_of_500_listeners_gets_every_byte(event: str) -> None:
    # NOT-143
    listeners = [Subscription(event) for _ in range(500)]
    assert fifodir.notify(event, b"su") == 500
    assert fifodir.notify(event, b"U") == 500
    assert {listener.read() for listener in listeners} == {b"suU"}
    assert {listener.read() for listener in listeners} == {b""}
    for listener in listeners:
        listener.close()
        listener.close()
    assert os.listdir(event) == []
    assert fifodir.notify(event, b"d") == 0


def test_the_directory_may_be_a_path_a_descriptor_or_relative_to_one(
    event: str, tmp_path: pathlib.Path
) -> None:
    parent, own = os.open(tmp_path, os.O_RDONLY), os.open(event, os.O_RDONLY)
    with Subscription("event", parent) as listener:
        assert (
            fifodir.notify("event", b"a", parent)
            == fifodir.notify(own, b"b")
            == fifodir.notify(event, b"c")
            == 1
        )
        assert listener.read() == b"abc"
    os.close(parent)
    os.close(own)


def test_a_listener_that_was_killed_is_removed_by_the_next_notifier(
    event: str, tmp_path: pathlib.Path
) -> None:
    # NOT-146
    with Arrivals(tmp_path / "event") as arrivals:
        process = start(ours("ftrig-wait", event, "never"))
        arrivals.wait()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(os.listdir(event)) == 1
    assert run(ours("ftrig-notify", event, "u")) == (0, "", "")
    assert os.listdir(event) == []


def test_cleanfifodir_removes_the_stale_and_nothing_else(event: str) -> None:
    # NOT-146
    os.mkfifo(f"{event}/{NAME}1")
    os.mkfifo(f"{event}/other")
    with Subscription(event) as listener:
        assert run(ours("cleanfifodir", event)) == (0, "", "")
        assert len(os.listdir(event)) == 2
        assert listener.read() == b""
    assert os.listdir(event) == ["other"]


def room(listener: Subscription) -> int:
    """How many bytes its FIFO holds: 64 KiB, and less where its user has very many pipes (pipe(7), pipe-user-pages-soft)."""
    return fcntl.fcntl(listener.fd, fcntl.F_GETPIPE_SZ)


def test_a_full_listener_loses_the_message_and_nobody_else_does(event: str) -> None:
    with Subscription(event) as full, Subscription(event) as other:
        os.write(full.fd, bytes(room(full)))
        assert fifodir.notify(event, b"u") == 2
        assert other.read() == b"u"
        assert len(full.read()) == room(full)
        assert full.read() == b""


def test_a_huge_message_never_blocks(event: str) -> None:
    with Subscription(event) as listener:
        assert fifodir.notify(event, b"x" * 1_000_000) == 1
        assert listener.read() == b"x" * room(listener)


KINDS = [
    "file",
    "directory",
    "socket",
    "link to null",
    "link to fifo",
    "dangling link",
    "device",
    "stale fifo",
    "unreadable",
]


def put(kind: str, path: str) -> None:
    """Make something at PATH."""
    if kind == "directory":
        os.mkdir(path)
    elif kind == "socket":
        os.mknod(path, 0o666 | stat.S_IFSOCK)
    elif "link" in kind:
        os.symlink({"link to null": "/dev/null", "link to fifo": "../fifo"}.get(kind, "nowhere"), path)
    elif kind == "device":
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "stale fifo":
        os.mkfifo(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0 if kind == "unreadable" else 0o666))


@pytest.mark.parametrize("kind", KINDS)
def test_under_a_listeners_name_only_a_fifo_is_written_to(
    kind: str, event: str, tmp_path: pathlib.Path
) -> None:
    # NOT-143 NOT-146
    os.mkfifo(tmp_path / "fifo")
    behind = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    try:
        put(kind, f"{event}/{NAME}1")
    except PermissionError:
        pytest.skip("needs root to make a device")
    with Subscription(event) as listener:
        assert fifodir.notify(event, b"u") == 1
        assert listener.read() == b"u"
    left = os.listdir(event)
    assert left == ([] if kind == "stale fifo" else [f"{NAME}1"])
    assert select.select([behind], [], [], 0)[0] == []
    if kind in ("file", "unreadable"):
        assert os.stat(f"{event}/{NAME}1").st_size == 0
    os.close(behind)


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    directory = tempfile.mkdtemp()
    yield directory
    shutil.rmtree(directory)


NAMES = st.one_of(
    st.binary(min_size=1, max_size=60).filter(
        lambda name: b"\0" not in name and b"/" not in name and name.strip(b".")
    ),
    st.binary(min_size=31, max_size=31)
    .filter(lambda name: b"\0" not in name and b"/" not in name)
    .map(lambda name: b"ftrig1:@" + name),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(NAMES, st.sampled_from(KINDS[:6])), max_size=8), st.binary(max_size=300))
def test_whatever_lies_in_a_fifodir_a_listener_is_heard(
    shared: str, things: list[tuple[bytes, str]], message: bytes
) -> None:
    event = tempfile.mkdtemp(dir=shared)
    for name, kind in things:
        path = f"{event}/{os.fsdecode(name)}"
        if not os.path.lexists(path):
            put(kind, path)
    before = sorted(os.listdir(event))
    with Subscription(event) as listener:
        assert fifodir.notify(event, message) == 1
        assert listener.read() == message
    assert sorted(os.listdir(event)) == before


def test_only_the_directory_itself_can_be_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        fifodir.notify(str(tmp_path / "nothing"), b"u")
    with pytest.raises(FileNotFoundError):
        Subscription(str(tmp_path / "nothing"))
    code, _, said = run(ours("ftrig-notify", tmp_path / "nothing", "u"))
    assert code == 111
    assert (
        said == f"ftrig-notify: fatal: unable to notify {tmp_path / 'nothing'}: No such file or directory\n"
    )


def test_a_listener_that_cannot_be_made_leaves_nothing_behind(
    event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        Subscription(event)
    assert os.listdir(event) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_machine_without_randomness_yet_does_not_wait_for_it(
    event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_yet(_size: int, _flags: int) -> bytes:
        raise BlockingIOError

    monkeypatch.setattr(os, "getrandom", none_yet)
    with Subscription(event), Subscription(event):
        assert fifodir.notify(event, b"u") == 2


def test_process_1_imports_nothing_heavy_for_it() -> None:
    code = "import sys; import initfs.notify.fifodir; print(*sorted(sys.modules))"
    _, out, _ = run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {ENVIRONMENT['PYTHONPATH']!r}); {code}",
        ]
    )
    assert not {"re", "random", "tempfile", "typing", "enum", "socket", "subprocess", "select"} & set(
        out.split()
    )


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be somebody else")
def test_who_is_not_the_owner_may_listen_in_public_but_not_notify() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        public = f"{directory}/event"
        fifodir.make(public, gid=None, mode=fifodir.PUBLIC)
        pid = os.fork()
        if not pid:
            os.setuid(65534)
            try:
                fifodir.notify(public, b"u")
            except PermissionError:
                with Subscription(public):
                    os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_socket_of_a_listeners_name_is_not_taken_for_a_stale_fifo(event: str) -> None:
    """It answers ENXIO as well."""
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(event):
        server.bind(f"{NAME}1")  # relative: a socket's path has at most 107 bytes
        fifodir.clean(event)
    assert os.listdir(event) == [f"{NAME}1"]
