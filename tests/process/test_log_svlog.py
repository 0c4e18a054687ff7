"""svlog: what comes in is in the files, selected, stamped, rotated, trimmed, processed."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import signal
import subprocess
import termios

import pytest

from tests.process.log_world import ENVIRONMENT, Running, archives, content, run, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = b"".join(b"%d\n" % number for number in range(1, 100_001))
LABEL = rb"@4[0-9a-f]{23} "


def test_a_hundred_thousand_lines_are_in_archives_and_current(tmp_path: Path) -> None:
    # LOG-091 LOG-098 (partly)
    assert run("svlog", "n20", "s65536", tmp_path / "d", text=NUMBERS).returncode == 0
    assert content(tmp_path / "d") == NUMBERS
    sizes = [path.stat().st_size for path in archives(tmp_path / "d")]
    assert len(sizes) == 9
    assert all(65536 - 2000 <= size < 65536 for size in sizes)
    assert all(path.read_bytes().endswith(b"\n") for path in archives(tmp_path / "d"))
    assert (tmp_path / "d/current").stat().st_mode & 0o100


def test_lines_go_to_the_directories_that_the_script_selects(tmp_path: Path) -> None:
    # LOG-092 LOG-108
    found = run("svlog", "-", "+fatal: ", tmp_path / "x", "f", tmp_path / "y", text=b"a\nb fatal: c\n")
    assert found.returncode == 0
    assert (tmp_path / "x/current").read_bytes() == b"b fatal: c\n"
    assert (tmp_path / "y/current").read_bytes() == b"a\n"


def test_all_actions_act_and_a_closed_standard_output_is_given_up(tmp_path: Path) -> None:
    # LOG-093
    arguments = ("1", "2", f"={tmp_path}/s", tmp_path / "d")
    found = run("svlog", *arguments, text=b"a\nb\n")
    assert found.stdout == b"a\nb\n"
    assert found.stderr == b"svlog: alert: a\nsvlog: alert: b\n"
    assert (tmp_path / "s").read_bytes() == b"b".ljust(1001, b"\n")
    reading, writing = os.pipe()
    os.close(reading)
    found = run(
        "svlog", *arguments, text=b"c\nd\n", capture_output=False, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert found.returncode == 0
    assert found.stderr.count(b"unable to write to standard output: Broken pipe") == 1
    assert (tmp_path / "d/current").read_bytes() == b"a\nb\nc\nd\n"


def test_stamps_stand_before_the_prefix_and_vanish_after_one_action() -> None:
    # LOG-094 LOG-095
    found = run("svlog", "t", "T", "pX:", "1", "p", "1", text=b"a\n").stdout
    first, second = found.splitlines()
    assert re.fullmatch(LABEL + rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}  X: a", first)
    assert second == b"a"
    assert run("svlog", "pX:", "1", "p", "1", text=b"a\n").stdout == b"X: a\na\n"


def test_long_lines_are_split_at_the_limit() -> None:
    # LOG-102
    sizes = [len(line) for line in run("svlog", "1", text=b"x" * 20000).stdout.splitlines()]
    assert sizes == [8192, 8192, 3616]
    assert run("svlog", "-l", "1", "1", text=b"x" * 100).stdout == b"x" * 48 + b"\n" + b"x" * 48 + b"\nxxxx\n"
    assert run("svlog", "-l", "0", "1", text=b"x" * 200000 + b"\ny\n").stdout == b"x" * 200000 + b"\ny\n"


@pytest.mark.parametrize(("size", "shown"), [(200, 200), (203, 203), (204, 203)])
def test_an_alert_is_shortened_when_that_saves_anything(size: int, shown: int) -> None:
    # LOG-105
    said = run("svlog", "2", text=b"x" * size + b"\n").stderr
    assert (
        said
        == b"svlog: alert: " + b"x" * min(size, 200 if size > 203 else size) + b"..." * (size > 203) + b"\n"
    )
    assert len(said) == len(b"svlog: alert: \n") + shown


def test_a_status_file_has_its_size_at_any_moment(tmp_path: Path) -> None:
    # LOG-106
    status = tmp_path / "s"
    logger = Running("svlog", f"={status}")
    logger.write(b"0\n")
    until(status.exists)
    sizes = set()
    for number in range(300):
        logger.write(b"%d\n" % number * 3)
        sizes.add(len(status.read_bytes()))
    assert logger.end() == 0
    assert sizes == {1001}
    assert status.read_bytes().rstrip(b"\n") == b"299"
    run("svlog", "^4", f"={status}", text=b"123456\n")
    assert status.read_bytes() == b"1234"


def test_trimming_keeps_count_and_total_and_the_newest(tmp_path: Path) -> None:
    # LOG-099
    (tmp_path / "d").mkdir()
    for name in ("@nothing", "@" + "z" * 26, "notes"):
        (tmp_path / "d" / name).write_text("mine")
    assert run("svlog", "n3", "S20000", "s8192", tmp_path / "d", text=NUMBERS).returncode == 0
    kept = [path for path in archives(tmp_path / "d") if path.name.endswith(".s")]
    assert len(kept) <= 3
    assert 0 < sum(path.stat().st_size for path in kept) <= 20000
    assert NUMBERS.endswith(
        b"".join(path.read_bytes() for path in kept) + (tmp_path / "d/current").read_bytes()
    )
    assert (tmp_path / "d/@nothing").exists()
    assert (tmp_path / "d" / ("@" + "z" * 26)).exists()


def test_an_alarm_and_a_period_rotate(tmp_path: Path) -> None:
    # LOG-098
    logger = Running("svlog", tmp_path / "d")
    logger.write(b"one\n")
    until(lambda: content(tmp_path / "d") == b"one\n")
    logger.signal(signal.SIGALRM)
    until(lambda: archives(tmp_path / "d"))
    assert archives(tmp_path / "d")[0].read_bytes() == b"one\n"
    logger.write(b"two\n")
    assert logger.end() == 0
    logger = Running("svlog", "R1", tmp_path / "d")
    until(lambda: len(archives(tmp_path / "d")) == 2)
    assert logger.end() == 0
    assert content(tmp_path / "d") == b"one\ntwo\n"


@pytest.mark.parametrize("word", ["?gzip -c", "!gzip -c"])
def test_a_processor_makes_the_archives(word: str, tmp_path: Path) -> None:
    # LOG-097 (partly)
    text = NUMBERS[: NUMBERS.index(b"\n20000\n") + 1]
    assert run("svlog", "n50", "s20000", "l0", word, tmp_path / "d", text=text).returncode == 0
    found = archives(tmp_path / "d")
    assert len(found) == 5
    unpacked = b"".join(gzip.decompress(path.read_bytes()) for path in found)
    assert unpacked + (tmp_path / "d/current").read_bytes() == text


def test_a_processor_has_its_state_and_is_run_again_when_it_fails(tmp_path: Path) -> None:
    # LOG-097
    script = f"?test -e {tmp_path}/go || {{ : >>{tmp_path}/tried; exit 1; }}; cat <&4; wc -l; echo run >&5"
    logger = Running("svlog", "r50", script, tmp_path / "d")
    logger.write(b"1\n2\n")
    until(lambda: (tmp_path / "d/current").exists() and content(tmp_path / "d") == b"1\n2\n")
    logger.signal(signal.SIGALRM)
    until((tmp_path / "tried").exists)
    assert not archives(tmp_path / "d")
    (tmp_path / "go").touch()
    until(lambda: archives(tmp_path / "d"))
    logger.write(b"3\n")
    until(lambda: (tmp_path / "d/current").read_bytes() == b"3\n")
    logger.signal(signal.SIGALRM)
    until(lambda: len(archives(tmp_path / "d")) == 2)
    assert logger.end() == 0
    assert [path.read_bytes().split() for path in archives(tmp_path / "d")] == [[b"2"], [b"run", b"1"]]
    assert b"the processor of" in logger.said


def test_input_that_is_no_pipe_is_logged_too(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(NUMBERS)
    with (tmp_path / "in").open("rb") as source:
        process = Running("svlog", "n99", tmp_path / "d", ends=(os.dup(source.fileno()), -1))
        assert process.end() == 0
    assert content(tmp_path / "d") == NUMBERS


def test_repeated_lines_are_folded_and_floods_thinned_when_the_script_says_so(tmp_path: Path) -> None:
    assert run("svlog", "u", tmp_path / "d", text=b"a\n" * 5 + b"b\n" * 3).returncode == 0
    assert content(tmp_path / "d") == b"a\nlast line repeated 4 times\nb\nlast line repeated 2 times\n"
    assert run("svlog", "m10", tmp_path / "e", text=NUMBERS).returncode == 0
    passed = content(tmp_path / "e").splitlines()
    told = sum(int(line.split()[0]) for line in passed if b"left out" in line)
    assert told + sum(b"left out" not in line for line in passed) == 100_000
    assert told > 90_000


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a logger that is compiled, as in an image; compiling it while it starts takes megabytes."""
    found = ENVIRONMENT | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    assert run("svlog", "-", "+^a", "u", "1", env=found).returncode == 0
    return found


ENDLESS = int(os.environ.get("INITFS_LINE_MB", "32"))  # 1000 for a whole GB


@pytest.mark.parametrize(
    ("words", "block", "count"),
    [
        (["s10000000"], b"x" * 65536, 16 * ENDLESS),
        (["-l", "0", "s10000000"], b"x" * 65536, 16 * ENDLESS),
        (["s10000000"], b"\n" * 65536, 8),
        (["s10000000"], b"\0\xff\n" * 21845, 8),
        (["s10000000", "-", "+a|b"], b"aa\ncc\n" * 10922, 8),
        (["s10000000", "-", "+^a", "./other", "+^b"], b"a\nb\n" * 16384, 8),
        (["u", "m100000", "s10000000"], b"ab\n" * 21845, 8),
    ],
    ids=[
        "a line without an end",
        "one that is not split",
        "empty lines",
        "blanks",
        "an expression",
        "mixed ones",
        "limits",
    ],
)
def test_its_memory_stays_below_14_mb_whatever_comes(
    words: list[str], block: bytes, count: int, compiled: dict[str, str], tmp_path: Path
) -> None:
    options, script = (words[:2], words[2:]) if words[0] == "-l" else ([], words)
    stamps = ("t", "T", "pprefix")
    logger = Running("svlog", *options, "n1", *script, *stamps, tmp_path / "d", cwd=tmp_path, env=compiled)
    for _ in range(count):
        logger.write(block)
    until(lambda: waits(logger))
    status = open(f"/proc/{logger.process.pid}/status").read()  # noqa: SIM115
    assert 4 * 1024 < int(status.partition("VmHWM:")[2].split()[0]) < 14 * 1024
    assert logger.end() == 0


def waits(logger: Running) -> bool:
    """Whether it has taken all that there is."""
    left = fcntl.ioctl(logger.reading, termios.FIONREAD, b"\0\0\0\0")
    return left == b"\0\0\0\0"


def test_a_pipe_that_is_shared_keeps_its_flags() -> None:
    logger = Running("svlog", "1", stdout=subprocess.DEVNULL)
    logger.write(b"x\n")
    assert not fcntl.fcntl(logger.reading, fcntl.F_GETFL) & os.O_NONBLOCK
    assert logger.end() == 0
