"""Bad input of any kind, made by hypothesis: whatever comes by FIFO, file or name, the tree goes on, and nobody else is signalled or started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from tests.process.fuzzed import ROUNDS, Fuzzed, lose
from tests.process.waiting import alive, marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
            lose(tree.scandir / os.fsdecode(name))
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
