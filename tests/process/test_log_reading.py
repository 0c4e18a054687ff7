"""Logs read back: whole, merged, from and until a moment, followed, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time

import pytest

from initfs import tai
from tests.process.log_world import ENVIRONMENT, run, until
from tests.process.tree import ours
from tests.process.waiting import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_180_000 * 10**9


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two services that spoke in turn, every second; the first one's older lines are in an archive."""
    for name, moments in (("a", [(0, ".s"), (2, ".s"), (4, "")]), ("b", [(1, ""), (3, "")])):
        (tmp_path / name).mkdir()
        for second, suffix in moments:
            label = tai.label(NOW + second * 10**9)
            path = tmp_path / name / (label + suffix if suffix else "current")
            with path.open("a") as file:
                file.write(f"{label} {name}{second}\n" + ("  continued\n" if second == 2 else ""))
    return tmp_path


def cat(logs: Path, *arguments: str) -> list[str]:
    found = run("svlog-cat", *arguments, env={**ENVIRONMENT, "LOGPATH": str(logs)})
    assert found.returncode == 0, found.stderr
    return found.stdout.decode().splitlines()


def test_a_log_is_read_from_its_oldest_line_to_its_newest(logs: Path) -> None:
    assert [line.split()[-1] for line in cat(logs, "a")] == ["a0", "a2", "continued", "a4"]
    assert cat(logs, "a") == cat(logs, f"{logs}/a")


def test_several_logs_are_merged_by_time(logs: Path) -> None:
    found = [line.split(": ")[0] + " " + line.split()[-1] for line in cat(logs, "b", "a")]
    assert found == ["a a0", "b b1", "a a2", "a continued", "b b3", "a a4"]


def test_since_and_until_cut_out_a_time(logs: Path) -> None:
    since, until_ = tai.label(NOW + 10**9), tai.label(NOW + 3 * 10**9)
    found = [line.split()[-1] for line in cat(logs, "--since", since, "--until", until_, "a", "b")]
    assert found == ["b1", "a2", "continued", "b3"]
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(NOW // 10**9 + 3))
    assert [line.split()[-1] for line in cat(logs, "--since", clock, "a", "b")] == ["b3", "a4"]
    assert cat(logs, "--since", "1s", "a") == [] if time.time() < NOW / 10**9 - 60 else True
    assert run("svlog-cat", "--since", "tomorrow", "a").returncode == 100


def test_json_is_an_object_for_each_line(logs: Path) -> None:
    found = [json.loads(line) for line in cat(logs, "--json", "b")]
    assert found == [
        {"time": NOW / 10**9 + 1, "service": "b", "line": "b1"},
        {"time": NOW / 10**9 + 3, "service": "b", "line": "b3"},
    ]


def test_a_log_that_is_not_there_is_111(tmp_path: Path) -> None:
    found = run("svlog-cat", "nobody", env={**ENVIRONMENT, "LOGPATH": str(tmp_path)})
    assert (found.returncode, found.stderr) == (111, b"svlog-cat: fatal: unable to find the log of nobody\n")


def test_a_service_without_a_logger_is_told_where_its_lines_are(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    places = {"LOGPATH": str(tmp_path / "logs"), "SVDIR": str(tmp_path)}
    found = run("svlog-cat", "web", env={**ENVIRONMENT, **places})
    assert found.returncode == 111
    assert found.stderr.endswith(
        b"it has no logger; what it says is in the catch-all log: svlog-cat /run/uncaught-logs\n"
    )


def test_compressed_archives_are_read_too(tmp_path: Path) -> None:
    text = b"".join(b"%d\n" % number for number in range(9000))
    assert run("svlog", "n99", "s8192", "?gzip -c", tmp_path / "a", text=text).returncode == 0
    assert cat(tmp_path, "a") == text.decode().splitlines()


def test_following_survives_rotation_and_misses_nothing(tmp_path: Path) -> None:
    assert run("svlog", tmp_path / "a", text=b"first\n").returncode == 0
    out = tmp_path / "out"
    process = subprocess.Popen(
        ours("svlog-cat", "-f", tmp_path / "a"),
        env=ENVIRONMENT,
        stdout=out.open("wb"),
        stderr=subprocess.DEVNULL,
    )
    until(lambda: out.read_bytes() == b"first\n")
    text = b"".join(b"%d\n" % number for number in range(20_000))
    for part in range(4):
        chosen = b"".join(text.splitlines(True)[part * 5000 : part * 5000 + 5000])
        assert run("svlog", "n1000", "s4096", tmp_path / "a", text=chosen).returncode == 0
    until(lambda: out.stat().st_size >= len(text) + 6)
    process.terminate()
    process.wait(PATIENCE)
    assert out.read_bytes() == b"first\n" + text


def service(base: Path) -> Path:
    """A service directory whose log is where std_service_logger puts it."""
    (base / "scan/a/log").mkdir(parents=True)
    (base / "scan/a/log/logdir").symlink_to(base / "log")
    return base / "scan"


def test_svpage_pages_all_archives(tmp_path: Path) -> None:
    # LOG-121 (partly)
    text = b"".join(b"%d\n" % number for number in range(5000))
    environment = {**ENVIRONMENT, "SVDIR": str(service(tmp_path)), "PAGER": "cat"}
    assert run("svlog", "n99", "s8192", tmp_path / "log", text=text).returncode == 0
    assert run("svpage", "a", env=environment).stdout == text
    assert run("p_log", tmp_path / "scan/a", env=environment).stdout == text
    own = tmp_path / "scan/a/page"
    own.write_text("#!/bin/sh\necho my own page in ${PWD##*/}\n")
    own.chmod(0o755)
    assert run("svpage", "a", env=environment).stdout == b"my own page in a\n"
    assert run("svpage").returncode == 1


def test_sview_shows_the_end_and_what_comes_on_a_terminal(tmp_path: Path) -> None:
    # LOG-121
    environment = {**ENVIRONMENT, "SVDIR": str(service(tmp_path))}
    assert run("svlog", tmp_path / "log", text=b"".join(b"old %d\n" % n for n in range(100))).returncode == 0
    ours_, theirs = pty.openpty()
    process = subprocess.Popen(ours("sview", "a"), env=environment, stdout=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while b"old 99" not in shown:
        shown += os.read(ours_, 4096)
    assert b"old 50" not in shown
    assert run("svlog", tmp_path / "log", text=b"brand new\n").returncode == 0
    while b"brand new" not in shown:
        shown += os.read(ours_, 4096)
    process.terminate()
    process.wait(PATIENCE)
    os.close(ours_)
