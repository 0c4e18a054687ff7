"""Logs in memory, of which a disk that lasts gets a copy: seldom, in whole files, and at the end."""

from __future__ import annotations

import signal

from initfs.log import keep
from tests.process.log_world import ENVIRONMENT, Running, archives, content, run, until
from tests.process.waiting import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

LINES = b"".join(b"%06d a line\n" % number for number in range(3000))


def kept(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in archives(directory))


def test_archives_are_copied_and_at_the_end_the_rest(tmp_path: Path) -> None:
    assert run("svlog", f"k{tmp_path}/data", "n100", "s8192", tmp_path / "run", text=LINES).returncode == 0
    assert kept(tmp_path / "data") == LINES
    assert [path.name for path in archives(tmp_path / "data")] == [
        path.name for path in archives(tmp_path / "run")
    ]
    assert not (tmp_path / "data" / keep.NEW).exists()


def test_no_more_is_written_in_an_hour_than_the_script_allows(tmp_path: Path) -> None:
    words = [f"k{tmp_path}/data", "h40", "n100", "s8192", str(tmp_path / "run")]
    for _ in range(3):  # a restart does not loosen the bound
        assert run("svlog", *words, text=LINES).returncode == 0
        sizes = [path.stat().st_size for path in archives(tmp_path / "data")]
        assert len(sizes) >= 3
        assert sum(map(keep.cost, sizes)) <= 40 * 1024
    assert content(tmp_path / "run") == 3 * LINES
    assert LINES.startswith(kept(tmp_path / "data"))


def test_the_logs_beside_each_other_have_a_bound_together(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in "abc":
        words = [f"k{tmp_path}/data/{name}", "H100", "n100", "s8192", str(tmp_path / name)]
        assert run("svlog", *words, text=LINES).returncode == 0
        assert content(tmp_path / name) == LINES
    sizes = {name: [path.stat().st_size for path in archives(tmp_path / "data" / name)] for name in "abc"}
    assert sum(sum(map(keep.cost, each)) for each in sizes.values()) <= 100 * 1024
    assert kept(tmp_path / "data/a") == LINES  # who comes first; what the others have waits in memory
    assert sizes["b"] != []
    assert sizes["c"] == []


def test_without_such_a_disk_the_log_is_in_memory_alone(tmp_path: Path) -> None:
    done = run("svlog", f"k{tmp_path}/none/data", "s8192", tmp_path / "run", text=LINES)
    assert (done.returncode, done.stderr) == (0, b"")
    assert content(tmp_path / "run") == LINES


def test_a_disk_that_fails_is_said_and_the_log_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    done = run("svlog", f"k{tmp_path}/data", "s8192", tmp_path / "run", text=LINES)
    assert done.returncode == 0
    assert done.stderr.count(b"unable to keep a log in") == 1
    assert content(tmp_path / "run") == LINES


def test_what_a_killed_logger_did_not_copy_its_successor_does(tmp_path: Path) -> None:
    words = [f"k{tmp_path}/data", "n100", tmp_path / "run"]
    logger = Running("svlog", *words)
    logger.write(b"before\n")
    until(lambda: content(tmp_path / "run") == b"before\n")
    assert kept(tmp_path / "data") == b""  # not a line at a time
    logger.process.kill()
    assert logger.wait() == -signal.SIGKILL
    again = Running("svlog", *words, ends=(logger.reading, logger.writing))
    until(lambda: kept(tmp_path / "data") == b"before\n")
    assert again.end() == 0


def test_copies_that_a_wrong_clock_made_hold_back_none_of_today(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    of_2080 = data / "@4000000100000000000000ff.s"
    of_2080.write_bytes(b"from another boot\n")
    words = [f"k{data}", "n3", "s8192", tmp_path / "run"]
    assert run("svlog", *words, text=LINES).returncode == 0
    copies = archives(data)
    assert b"".join(path.read_bytes() for path in copies if path != of_2080) in LINES
    assert {path.name for path in archives(tmp_path / "run")} <= {path.name for path in copies}
    assert copies[-1].read_bytes().endswith(LINES[-20:]), "the newest comes last, and the oldest goes first"
    assert run("svlog", *words, text=b"one more\n").returncode == 0
    assert archives(data)[-1].read_bytes() == b"one more\n"
    assert archives(tmp_path / "run")[-1].name == archives(data)[-1].name


def test_a_log_in_two_places_is_read_once(tmp_path: Path) -> None:
    for root in ("data", "run"):
        (tmp_path / root).mkdir()
    words = [f"k{tmp_path}/data/a", "n100", "s8192", "t", tmp_path / "run/a"]
    assert run("svlog", *words, text=LINES).returncode == 0
    for path in archives(tmp_path / "run/a")[:2]:
        path.unlink()  # memory keeps less
    (tmp_path / "run/a/current").write_bytes(b"@400000007b00577e1d96c8c4 last\n")
    done = run(
        "svlog-cat", "a", env={**ENVIRONMENT, "LOGPATH": f"{tmp_path}/data:{tmp_path}/run"}, timeout=PATIENCE
    )
    assert done.stderr == b""
    found = b"".join(line.partition(b" ")[2] for line in done.stdout.splitlines(keepends=True))
    assert found == LINES + b"last\n"
