"""svlog: when it is ready, how it ends, and what it refuses."""

from __future__ import annotations

import os
import select
import signal

import pytest

from tests.process.log_world import Running, content, run, until
from tests.process.waiting import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_has_one_logger(tmp_path: Path) -> None:
    # LOG-101
    logger = Running("svlog", tmp_path / "d")
    until((tmp_path / "d/current").exists)
    second = run("svlog", tmp_path / "d")
    assert second.returncode == 111
    assert b"another logger has it" in second.stderr
    assert logger.end() == 0


def test_readiness_is_told_once_the_directories_are_locked(tmp_path: Path) -> None:
    # LOG-103 (partly)
    reading, writing = os.pipe()
    logger = Running("svlog", "-d", writing, tmp_path / "d", pass_fds=(writing,))
    os.close(writing)
    assert select.select([reading], [], [], PATIENCE)[0]
    assert os.read(reading, 9) == b"\n"
    assert os.read(reading, 9) == b""
    os.close(reading)
    assert run("svlog", tmp_path / "d").returncode == 111
    assert logger.end() == 0
    assert run("svlog", "-d", "2", "1").returncode == 100
    assert run("svlog", "-d", "77", "1").returncode == 100


def test_term_ends_it_unless_it_is_protected_and_hup_always_does(tmp_path: Path) -> None:
    # LOG-103 (partly)
    logger = Running("svlog", tmp_path / "a")
    until((tmp_path / "a/current").exists)
    logger.signal(signal.SIGTERM)
    assert logger.wait() == 0
    logger.close_pipe()
    logger = Running("svlog", "-bp", tmp_path / "b")
    until((tmp_path / "b/current").exists)
    logger.signal(signal.SIGTERM)
    logger.write(b"still\n")
    until(lambda: content(tmp_path / "b") == b"still\n")
    logger.signal(signal.SIGHUP)
    assert logger.wait() == 0
    logger.close_pipe()


def test_a_logger_that_is_told_to_end_leaves_what_follows_its_last_line_to_the_next(tmp_path: Path) -> None:
    # LOG-104 LOG-103
    first = Running("svlog", "-t", "60000", tmp_path / "d")
    until((tmp_path / "d/current").exists)
    first.write(b"whole\nbegun")
    until(lambda: content(tmp_path / "d") == b"whole\n")
    first.signal_taken(signal.SIGTERM)
    first.write(b" and ended\nnext\nlast\n")
    assert first.wait() == 0
    assert content(tmp_path / "d") == b"whole\nbegun and ended\n"
    second = Running("svlog", tmp_path / "d", ends=(first.reading, first.writing))
    until(lambda: content(tmp_path / "d").endswith(b"last\n"))
    assert second.end() == 0
    assert content(tmp_path / "d") == b"whole\nbegun and ended\nnext\nlast\n"


def test_a_line_that_does_not_end_in_time_is_written_as_it_is(tmp_path: Path) -> None:
    # LOG-103 (partly)
    logger = Running("svlog", "-t", "50", tmp_path / "d")
    until((tmp_path / "d/current").exists)
    logger.write(b"whole\nbegun")
    until(lambda: content(tmp_path / "d") == b"whole\n")
    logger.signal(signal.SIGTERM)
    assert logger.wait() == 0
    logger.close_pipe()
    assert content(tmp_path / "d") == b"whole\nbegun\n"


def test_quiet_says_no_warnings(tmp_path: Path) -> None:
    # LOG-103 (partly)
    assert b"warning" in run("svlog", tmp_path / "d", "t").stderr
    assert run("svlog", "-q", tmp_path / "d", "t").stderr == b""


@pytest.mark.parametrize("words", [[], ["t"], ["q", "1"], ["+(", "1"], ["l9000", "s8192", "./d"], ["n", "1"]])
def test_a_bad_script_exits_100_and_names_the_word(words: list[str], tmp_path: Path) -> None:
    found = run("svlog", *words, cwd=tmp_path)
    assert found.returncode == 100
    assert found.stderr.startswith(b"svlog: fatal: unable to understand the script: ")
    assert not list(tmp_path.iterdir())


def test_a_log_directory_that_cannot_be_is_111(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = run("svlog", tmp_path / "file")
    assert found.returncode == 111
    assert str(tmp_path / "file").encode() in found.stderr
    assert run("svlog", tmp_path / "no/such").returncode == 111
