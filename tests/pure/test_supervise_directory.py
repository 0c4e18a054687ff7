"""The knobs of a service directory: absent is the default, invalid is a warning and the default, and nothing hangs."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from initfs import signals
from initfs.supervise.directory import SECOND, Directory, telling
from initfs.supervise.model import NEVER, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = os.listdir
LATER = 1 << 62  # nanoseconds: whatever has been changed was changed long ago
KNOBS = (
    "down-signal",
    "reload-signal",
    "timeout-kill",
    "timeout-finish",
    "restart-delay-max",
    "notification-fd",
    "lock-fd",
    "max-death-tally",
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    turns = itertools.count()  # as if a turn of the loop were between any two questions
    yield Directory(fd, "a", lambda: next(turns))
    os.close(fd)


def test_an_empty_directory_has_the_defaults(directory: Directory) -> None:
    # SUP-041 (partly) SUP-042 (partly) SUP-043 (partly) SUP-044 (partly) SUP-049 (partly)
    assert directory.policy() == Policy()
    assert directory.policy().timeout_finish == 5.0
    assert directory.policy().timeout_kill == NEVER
    assert (directory.policy().down_signal, directory.policy().reload_signal) == (signals.TERM, signals.HUP)
    assert directory.start().notification_fd == directory.start().lock_fd == 0
    assert directory.tally() == 100


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ("0", NEVER),
        ("0\n", NEVER),
        ("1500\n", 1.5),
        (" 200 \n", 0.2),
        ("250\nand more\n", 0.25),
        ("007\n", 0.007),
        ("", None),
        ("\n200\n", None),
        ("-1\n", None),
        ("1.5\n", None),
        ("1e3\n", None),
        ("soon\n", None),
        ("9999999999\n", None),
        ("٣٠٠\n", None),
    ],
)
def test_times_are_milliseconds_on_the_first_line(
    content: str,
    seconds: float | None,
    directory: Directory,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # SUP-041 (partly) SUP-042 (partly)
    (tmp_path / "timeout-kill").write_text(content)
    (tmp_path / "timeout-finish").write_text(content)
    for _ in range(3):
        policy = directory.policy()
        assert policy.timeout_kill == (NEVER if seconds is None else seconds)
        assert policy.timeout_finish == (5.0 if seconds is None else seconds)
    assert capfd.readouterr().err.count("warning") == (2 if seconds is None else 0), "said once"


@pytest.mark.parametrize(
    ("word", "signum"),
    [
        ("INT", 2),
        ("sigint", 2),
        ("SIGINT", 2),
        ("2", 2),
        ("64", 64),
        ("65", None),
        ("0", None),
        ("SIG", None),
        ("NOPE", None),
    ],
)
def test_signals_are_names_or_numbers(
    word: str, signum: int | None, directory: Directory, tmp_path: Path
) -> None:
    # SUP-043 (partly) SUP-044 (partly)
    (tmp_path / "down-signal").write_text(word + "\n")
    (tmp_path / "reload-signal").write_text(word)
    assert directory.policy().down_signal == (signum or signals.TERM)
    assert directory.policy().reload_signal == (signum or signals.HUP)


@pytest.mark.parametrize(
    ("word", "kept"), [("5", 5), ("0", 0), ("4096", 4096), ("5000", 4096), ("many", 100)]
)
def test_the_tally_has_a_default_and_a_cap(
    word: str, kept: int, directory: Directory, tmp_path: Path
) -> None:
    # SUP-049 (partly)
    (tmp_path / "max-death-tally").write_text(word)
    assert directory.tally() == kept


@pytest.mark.parametrize(
    ("word", "fd"), [("3", 3), ("1023", 1023), ("1024", 0), ("0", 0), ("-3", 0), ("x", 0)]
)
def test_descriptors_are_positive(word: str, fd: int, directory: Directory, tmp_path: Path) -> None:
    # SUP-045 (partly)
    (tmp_path / "notification-fd").write_text(word)
    assert directory.start().notification_fd == fd


@pytest.mark.parametrize("kind", ["directory", "fifo", "link to nowhere", "loop", "socket", "device"])
@pytest.mark.parametrize("knob", KNOBS)
def test_what_is_not_a_file_is_the_default_and_does_not_hang(
    kind: str, knob: str, directory: Directory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / knob
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        if os.geteuid() != 0:
            pytest.skip("only root makes such nodes")
        os.mknod(path, 0o140600)
    else:
        path.symlink_to({"link to nowhere": "nowhere", "loop": knob, "device": "/dev/zero"}[kind])
    for _ in range(2):
        policy, start, tally = directory.policy(), directory.start(), directory.tally()
    assert (policy.down_signal, policy.reload_signal) == (signals.TERM, signals.HUP)
    assert (policy.timeout_kill, policy.timeout_finish, policy.restart_delay_max) == (NEVER, 5.0, 0.0)
    assert (start.notification_fd, start.lock_fd, tally) == (0, 0, 100)
    assert capfd.readouterr().err.count(f"{knob}:") <= 1, "said once"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    knob=some.sampled_from(KNOBS),
    content=some.one_of(some.binary(max_size=40), some.binary(min_size=4000, max_size=6000)),
)
def test_any_bytes_in_a_knob_are_a_value_or_the_default(
    knob: str, content: bytes, directory: Directory, tmp_path: Path
) -> None:
    for name in KNOBS:
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / knob).write_bytes(content)
    policy, start = directory.policy(), directory.start()
    assert 0 < policy.down_signal <= 64
    assert 0 < policy.reload_signal <= 64
    assert policy.timeout_kill > 0
    assert policy.timeout_finish > 0
    assert policy.restart_delay_max >= 0
    assert 0 <= start.notification_fd < 1024
    assert 0 <= start.lock_fd < 1024
    assert 0 <= directory.tally() <= 4096


def test_the_down_file_is_made_and_removed(directory: Directory, tmp_path: Path) -> None:
    # SUP-061 (partly)
    directory.mark_down(down=True)
    directory.mark_down(down=True)
    assert (tmp_path / "down").read_bytes() == b""
    directory.mark_down(down=False)
    directory.mark_down(down=False)
    assert not (tmp_path / "down").exists()


def test_a_removed_directory_is_said_once(
    directory: Directory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tmp_path.rmdir()
    assert directory.policy() == Policy()
    directory.mark_down(down=True)
    directory.mark_down(down=True)
    assert capfd.readouterr().err.count("warning") <= 2
    tmp_path.mkdir()


def test_a_directory_that_has_not_changed_is_not_listed_again_and_each_change_is_seen(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []

    def listing(fd: int) -> list[str]:
        listed.append(fd)
        return NAMES(fd)

    monkeypatch.setattr("initfs.supervise.directory.os.listdir", listing)
    monkeypatch.setattr("initfs.supervise.directory.time.time_ns", lambda: LATER)
    (tmp_path / "data").touch()
    assert tmp_path.stat().st_ctime_ns % SECOND
    assert [directory.names() for _ in range(5)] == [frozenset()] * 5
    assert len(listed) == 1
    before = tmp_path.stat()
    while tmp_path.stat().st_ctime_ns == before.st_ctime_ns:
        (tmp_path / "finish").touch()
        (tmp_path / "finish").unlink()
    (tmp_path / "finish").touch()
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert directory.names() == {"finish"}
    assert directory.policy().finish


def test_the_stamp_of_a_directory_tells_only_when_it_is_old_and_has_more_than_seconds() -> None:
    now = 1_000 * SECOND + 5
    assert telling(now - 60_000_000, now)
    assert not telling(now - 40_000_000, now)  # what comes now may get the same
    assert not telling(now, now)
    assert not telling(now + 3_600 * SECOND, now)  # the clock has been set back
    assert not telling(990 * SECOND, now)  # a file system that counts seconds
