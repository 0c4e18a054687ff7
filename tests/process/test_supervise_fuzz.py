"""Bad input: whatever comes by FIFO, file, name or socket, the tree goes on, and nobody else is signalled or started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from initfs import files, tai
from initfs.notify import fifodir
from initfs.supervise.status import RUN, Status, encode
from tests.process.tree import MARK, READY_ON_3, Tree, alive, make_service, marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("INITFS_ROUNDS", "1"))
FEW = settings(
    max_examples=25 * ROUNDS,
    deadline=None,
    derandomize=ROUNDS == 1,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KNOBS = (
    "down-signal",
    "reload-signal",
    "timeout-kill",
    "timeout-finish",
    "restart-delay-max",
    "notification-fd",
    "lock-fd",
    "max-death-tally",
    "flag-timeout-killpg",
)


class Fuzzed(Tree):
    """A tree with a target, and a bystander that nothing may happen to."""

    checks = 0

    def begin(self) -> Fuzzed:
        self.add("bystander")
        self.add("bystander/log", "exec cat >/dev/null")
        self.target = self.add("target", finish="exit 0")
        self.start()
        self.bystanders = [self.wait_for("up", name)["pid"] for name in ("bystander", "bystander/log")]
        self.wait_for("up", "target")
        self.wait_furnished("target")
        return self

    def clean(self) -> None:
        """Take out what `settle` has left: of services there is a limit."""
        markers = list(self.scandir.glob("zz-*"))
        for path in markers:
            lose(path)
        self.control("an")
        for path in markers:
            self.wait_for("released", path.name)

    def check(self) -> None:
        """It still acts, nothing was a bug, and the bystanders live."""
        self.settle()
        self.checks += 1
        if self.checks % 200 == 0:
            self.clean()
        assert all(map(alive, self.bystanders)), self.said
        assert "bug" not in self.said
        assert "Traceback" not in self.said


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Fuzzed]:
    with Fuzzed(tmp_path) as tree:
        yield tree.begin()


def test_any_bytes_on_a_service_s_control_fifo(tree: Fuzzed) -> None:
    # `x` costs a second until it is supervised again: only the first example has it.
    letters = some.text("abqhkti12ypcPCKrluUdDoOQ", min_size=1).map(str.encode)

    @FEW
    @given(
        data=some.one_of(
            some.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"x", b"")), letters
        )
    )
    @example(data=bytes(range(256)) + b"xxxxxx")
    @example(data=b"udududududududud" * 50)
    def fuzz(data: bytes) -> None:
        tree.send("target", data)
        tree.check()
        children = [pid for pid in marked(tree.mark) if pid != tree.pid]
        assert len(children) <= 4, "at most one process for each service, and one that is just being replaced"

    fuzz()
    tree.send("target", "ud")
    tree.check()


def test_any_bytes_on_the_tree_s_control_fifo(tree: Fuzzed) -> None:
    harmless = bytes(set(range(256)) - set(b"bitq"))

    @FEW
    @given(data=some.lists(some.sampled_from(list(harmless)), min_size=1, max_size=300).map(bytes))
    @example(data=harmless)
    @example(data=b"anhnahNNzazn" * 100)
    def fuzz(data: bytes) -> None:
        tree.control(data)
        tree.check()
        assert alive(tree.pid)

    fuzz()
    assert "unknown command" in tree.said


def test_a_flooded_fifo_starves_nobody(tree: Fuzzed) -> None:
    fd = os.open(tree.target / "supervise/control", os.O_WRONLY | os.O_NONBLOCK)
    flood = b"hOuac\0\xff" * 585
    began, told = time.monotonic(), 0
    while told < 20:
        try:
            os.write(fd, flood[:4095])
        except BlockingIOError:
            tree.send("bystander", "C")
            told += 1
            asked = time.monotonic()
            tree.control("a")
            (tree.scandir / f"new{told}").symlink_to(make_service(tree.base / f"new{told}"))
            tree.control("a")
            tree.wait_for("up", f"new{told}", patience=5.0)
            assert time.monotonic() - asked < 5
        assert time.monotonic() - began < 60
    os.close(fd)
    tree.send("target", "d")
    assert all(map(alive, tree.bystanders))
    assert "bug" not in tree.said


def test_any_bytes_in_any_knob(tree: Fuzzed) -> None:
    words = some.sampled_from(
        [b"0", b"1", b"3\n", b"999999999", b"KILL", b"sigstop\n", b"-1", b"1023", b"\0", b"65\n"]
    )

    @FEW
    @given(
        knobs=some.dictionaries(
            some.sampled_from(KNOBS), some.one_of(words, some.binary(max_size=50)), min_size=1
        )
    )
    @example(knobs={"notification-fd": b"1"})
    @example(knobs={"notification-fd": b"0\n", "lock-fd": b"2\n"})
    @example(knobs={"notification-fd": b"1023", "lock-fd": b"1022"})
    @example(knobs={"down-signal": b"STOP", "timeout-kill": b"1"})
    def fuzz(knobs: dict[str, bytes]) -> None:
        for name in KNOBS:
            (tree.target / name).unlink(missing_ok=True)
        for name, content in knobs.items():
            (tree.target / name).write_bytes(content)
        tree.send("target", "ulrdku")
        tree.check()

    fuzz()
    for name in KNOBS:
        (tree.target / name).unlink(missing_ok=True)
    tree.send("target", "ck")
    tree.check()


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


def names() -> some.SearchStrategy[bytes]:
    """Names that a file system takes and a scan does not skip."""
    free = some.binary(min_size=1, max_size=60).filter(lambda name: not set(name) & {0, ord("/")})
    odd = some.sampled_from(
        [
            b"a\nb",
            b"-rf",
            b"$(reboot)",
            b"\xff\xfe",
            b" ",
            b"\x1b[2J",
            b"log",
            b"%s%n",
            b'"\\',
            "ü\u2028".encode(),
        ]
    )
    return some.one_of(odd, free).filter(lambda name: not name.startswith(b"."))


def test_any_name_in_the_scan_directory(tree: Fuzzed) -> None:
    known = set(os.listdir(os.fsencode(tree.scandir)))

    @FEW
    @given(found=some.sets(names(), min_size=1, max_size=5))
    def fuzz(found: set[bytes]) -> None:
        new = {name for name in found if name not in known}
        for name in new:
            directory = os.path.join(os.fsencode(tree.scandir), name)
            shutil.rmtree(directory, ignore_errors=True)  # of a former example that failed
            os.mkdir(directory)
            with open(os.path.join(directory, b"run"), "w") as run:
                run.write('#!/bin/sh\nprintf %s "$1" | cksum >"$EAR"\nexec sleep 999\n')
            os.chmod(os.path.join(directory, b"run"), 0o755)
        tree.control("a")
        told = sorted(tree.ear.line() for _ in new)
        sums = [
            subprocess.run(["cksum"], input=name, capture_output=True, check=True).stdout.decode().strip()
            for name in new
        ]
        assert told == sorted(sums), "each was told its very name"
        for name in new:
            shutil.rmtree(os.path.join(os.fsencode(tree.scandir), name))
        tree.control("an")
        tree.check()

    fuzz()


def test_garbage_in_the_files_of_a_running_service_is_replaced(tree: Fuzzed) -> None:
    @FEW
    @given(data=some.binary(max_size=100), name=some.sampled_from(["status", "pid", "stat", "death_tally"]))
    def fuzz(data: bytes, name: str) -> None:
        path = tree.target / "supervise" / name
        path.with_name("garbage").write_bytes(data)
        path.with_name("garbage").rename(path)
        found = tree.ours("svstat", "target") if name == "status" and len(data) % 9 == 0 else None
        assert found is None or (found.returncode in (0, 111) and "Traceback" not in found.stderr)
        tree.send("target", "ku")
        tree.check()
        tree.send("target", "d")
        tree.settle()
        wait_for_end(tree)

    fuzz()


def wait_for_end(tree: Fuzzed) -> None:
    """Return when the files say, in all their spellings, that the target is down."""
    deadline = time.monotonic() + 10
    files = [tree.target / "supervise" / name for name in ("status", "pid", "stat")]
    while [path.read_bytes()[12:16] for path in files[:1]] + [path.read_bytes() for path in files[1:]] != [
        b"\0\0\0\0",
        b"",
        b"down\n",
    ]:
        assert time.monotonic() < deadline


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


def lose(directory: Path) -> None:
    """Remove it while somebody writes into it."""
    deadline = time.monotonic() + 20
    while directory.exists():
        shutil.rmtree(directory, ignore_errors=True)
        assert time.monotonic() < deadline


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


def test_subscribers_that_never_read_or_send_garbage_are_dropped(tree: Fuzzed) -> None:
    here = os.open(tree.scandir / ".svscan", os.O_RDONLY)
    before = len(os.listdir(f"/proc/{tree.pid}/fd"))
    sockets = []
    for number in range(12):
        one = socket.socket(socket.AF_UNIX)
        one.connect(f"/proc/self/fd/{here}/events")
        sockets.append(one)
        if number % 3 == 0:
            one.send(b"\0garbage\xff" * 10)
    os.close(here)
    for _ in range(3):
        tree.send("target", "ud" * 400)
        tree.check()
    for one in sockets:
        one.close()
    tree.check()
    tree.settle()
    assert len(os.listdir(f"/proc/{tree.pid}/fd")) <= before + 60, "the markers of `settle`, and nothing else"


def test_a_storm_of_signals(tree: Fuzzed) -> None:
    for _ in range(300):
        for name in ("CHLD", "ALRM", "HUP", "USR1", "USR2", "WINCH", "PIPE", "IO", "PWR"):
            os.kill(tree.pid, signal.Signals[f"SIG{name}"])
    tree.check()
    assert alive(tree.pid)


def test_a_thousand_deaths_of_a_service_s_descendants_are_reaped(tree: Fuzzed) -> None:
    # SUP-013 (partly)
    orphan = "(for n in 1 2 3 4 5 6 7 8 9 10; do (exec true) & done); "
    tree.add("busy", f"{orphan * 20} echo done >$EAR; exec sleep 999")
    tree.control("a")
    assert tree.ear.line() == "done"
    tree.check()


def test_readiness_bytes_of_any_kind(tree: Fuzzed) -> None:
    # SUP-045 (partly)
    tree.add("chatty", "head -c 300000 /dev/zero >&3; echo >&3; exec sleep 999", notification_fd="3")
    tree.add("endless", "exec cat /dev/zero >&3", notification_fd="3")
    tree.add("closed", READY_ON_3, notification_fd="9999999999")
    tree.control("a")
    tree.wait_for("ready", "chatty")
    tree.check()
    tree.send("endless", "d")
    tree.wait_for("finished", "endless")
    tree.check()
    assert MARK in tree.environment
