"""What a logger promises when it is killed, when the disk is full, when its directory goes away."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initfs import tai
from tests.process.log_world import ENVIRONMENT, Running, archives, content, run, until
from tests.process.waiting import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = int(os.environ.get("INITFS_KILLS", "4"))  # 20 and more for a campaign
# Each line says its number and what follows from it, so that nothing torn or exchanged can look whole.
PRODUCER = """import os, signal, sys
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
number = 0
while going:
    lines = b"".join(b"%09d %s\\n" % (n, b"x" * (n * 7919 % 150)) for n in range(number, number + 500))
    number += 500
    while lines:
        lines = lines[os.write(1, lines):]
"""


def expected(number: int) -> bytes:
    return b"%09d %s" % (number, b"x" * (number * 7919 % 150))


def hold(*words: object) -> list[str]:
    return ["n1000000", *map(str, words)]


@pytest.mark.parametrize(
    "words",
    [["s1000000"], ["t", "s20000"], ["s30000", "- +7 /DIR2 f"], ["-l", "100", "s50000"]],
    ids=" ".join,
)
def test_no_line_is_lost_doubled_or_torn_when_it_is_killed_at_full_speed(
    words: list[str], tmp_path: Path
) -> None:
    # LOG-100 (partly)
    base = tmp_path
    options = [word for word in words if word.startswith("-l") or word == "100"]
    rest = (
        " ".join(word for word in words if word not in options).replace("DIR2", f"{base}/other"[1:]).split()
    )
    reading, writing = os.pipe()
    producer = subprocess.Popen([sys.executable, "-S", "-c", PRODUCER], stdout=writing)
    chance = random.Random(len(words))
    for _ in range(KILLS):
        logger = Running("svlog", *options, *hold(*rest, base / "d"), ends=(reading, writing))
        before = size(base / "d")
        until(lambda: size(base / "d") > before + 100_000, "writing")  # noqa: B023
        time.sleep(chance.random() * 0.05)  # a random moment is what is tested, nothing is waited for
        logger.process.kill()
        assert logger.wait() == -signal.SIGKILL
    logger = Running("svlog", *options, *hold(*rest, base / "d"), ends=(reading, writing))
    producer.terminate()
    assert producer.wait(PATIENCE) == 0
    assert logger.end() == 0
    check([line for name in ("d", "other") for line in content(base / name).split(b"\n") if line])


def size(directory: Path) -> int:
    """Of all that is logged there, bytes; files may go while one looks."""
    total = 0
    for path in directory.glob("*") if directory.exists() else ():
        try:
            total += path.stat().st_size if path.name[0] in "@c" else 0
        except FileNotFoundError:
            continue
    return total


def check(lines: list[bytes]) -> None:
    """Each line whole, each once, in order but for what two directories make of it."""
    texts = [line.partition(b" ")[2] if line.startswith(b"@") else line for line in lines]
    rejoined: list[bytes] = []
    for text in texts:  # a line that was longer than the limit is in pieces
        if text.startswith(b"0") and text[9:10] == b" ":
            rejoined.append(text)
        else:
            rejoined[-1] += text
    rejoined.sort()
    assert len(rejoined) > 1000
    wrong = [(number, text) for number, text in enumerate(rejoined) if text != expected(number)]
    assert wrong[:3] == []


def test_killed_again_and_again_at_20000_lines_a_second_it_loses_none(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    paced = PRODUCER.replace("going = True\n", "import time\ngoing = True\n").replace(
        "    while lines:", "    time.sleep(0.025)\n    while lines:"
    )
    producer = subprocess.Popen([sys.executable, "-S", "-c", paced], stdout=writing)
    for _ in range(max(KILLS // 2, 2)):
        logger = Running("svlog", *hold("t", tmp_path / "d"), ends=(reading, writing))
        before = size(tmp_path / "d")
        until(lambda: size(tmp_path / "d") > before, "writing")  # noqa: B023
        logger.kill()
    logger = Running("svlog", *hold("t", tmp_path / "d"), ends=(reading, writing))
    producer.terminate()
    assert producer.wait(PATIENCE) == 0
    assert logger.end() == 0
    check([line for line in content(tmp_path / "d").split(b"\n") if line])


def test_bytes_that_look_like_blank_space_survive_a_kill(tmp_path: Path) -> None:
    logger = Running("svlog", *hold(tmp_path / "d"))
    text = b"\xff\xff\n\xff" * 30_000
    logger.write(text)
    until(lambda: size(tmp_path / "d") > len(text) - 100_000)
    logger.process.kill()
    logger.wait()
    again = Running("svlog", *hold(tmp_path / "d"), ends=(logger.reading, logger.writing))
    assert again.end() == 0
    assert content(tmp_path / "d") == text + b"\n"


def test_a_line_that_has_begun_when_the_logger_is_killed_is_one_line(tmp_path: Path) -> None:
    # LOG-100 (partly)
    logger = Running("svlog", tmp_path / "d")
    logger.write(b"whole\nbegun")
    until(lambda: content(tmp_path / "d") == b"whole\n")
    logger.process.kill()
    logger.wait()
    again = Running("svlog", tmp_path / "d", ends=(logger.reading, logger.writing))
    again.write(b" and ended\n")
    assert again.end() == 0
    assert content(tmp_path / "d") == b"whole\nbegun and ended\n"
    assert not (tmp_path / "d/inbox").exists()


@pytest.mark.parametrize(
    "left",
    [
        ["current"],
        ["current", "previous"],
        ["previous"],
        ["current", "previous", "processed", "newstate", "state"],
    ],
)
def test_what_an_interrupted_logger_left_becomes_archives(left: list[str], tmp_path: Path) -> None:
    # LOG-100
    directory = tmp_path / "d"
    directory.mkdir()
    for name in left:
        (directory / name).write_text(f"{name}\n")
        (directory / name).chmod(0o644)
    assert run("svlog", directory, text=b"new\n").returncode == 0
    found = {path.read_text(): path.suffix for path in archives(directory)}
    assert found == {f"{name}\n": ".u" for name in left if name in ("current", "previous")}
    assert (directory / "current").read_text() == "new\n"
    assert sorted(path.name for path in directory.iterdir() if path.name[0] != "@") == ["current", "lock"]


def test_a_processed_file_that_was_finished_becomes_the_archive(tmp_path: Path) -> None:
    # LOG-100
    directory = tmp_path / "d"
    directory.mkdir()
    for name, mode in (("current", 0o644), ("previous", 0o744), ("processed", 0o744)):
        (directory / name).write_text(name)
        (directory / name).chmod(mode)
    assert run("svlog", directory).returncode == 0
    assert {path.suffix: path.read_text() for path in archives(directory)} == {
        ".s": "processed",
        ".u": "current",
    }


def test_a_log_that_was_ended_cleanly_goes_on(tmp_path: Path) -> None:
    # LOG-100 (partly)
    for text in (b"1\n", b"2\n"):
        assert run("svlog", tmp_path / "d", text=text).returncode == 0
    assert content(tmp_path / "d") == b"1\n2\n"
    assert archives(tmp_path / "d") == []


def test_a_directory_that_vanishes_is_made_again(tmp_path: Path) -> None:
    logger = Running("svlog", "r50", tmp_path / "d")
    logger.write(b"1\n")
    until(lambda: content(tmp_path / "d") == b"1\n")
    shutil.rmtree(tmp_path / "d")
    logger.write(b"2\n")
    until(lambda: content(tmp_path / "d") == b"2\n")
    (tmp_path / "d/current").unlink()
    logger.write(b"3\n")
    until(lambda: content(tmp_path / "d") == b"3\n")
    assert logger.end() == 0
    assert (tmp_path / "d/current").stat().st_mode & 0o100


def test_a_clock_that_is_set_back_50_years_changes_no_order(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    future = tai.label(time.time_ns() + 50 * 365 * 86400 * 10**9) + ".s"
    (directory / future).write_text("written in the future\n")
    text = b"".join(b"%d\n" % number for number in range(3000))
    assert run("svlog", "n3", "s4096", "l0", directory, text=text).returncode == 0
    assert text.endswith(content(directory))
    assert all(path.name > future for path in archives(directory))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_on_a_full_disk_lines_wait_and_none_is_missing(tmp_path: Path) -> None:
    # LOG-107
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], check=True)
    try:
        ballast = mount / "ballast"
        ballast.write_bytes(b"b" * 36_000)
        logger = Running("svlog", "-t", "0", "r50", "s16384", "n1000", mount / "d", env=ENVIRONMENT)
        os.set_blocking(logger.writing, False)
        text = b"".join(b"%06d\n" % number for number in range(3500))
        written = os.write(logger.writing, text)
        until(lambda: b"No space left" in said(logger))
        ballast.unlink()
        until(lambda: content(mount / "d") == text[:written])
        assert logger.end() == 0
        assert content(mount / "d") == text[:written]
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A small ext4: where it is mounted, and the file by which the kernel is told that it has an error."""
    image, mount = tmp_path / "image", tmp_path / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    steps = [
        ["mkfs.ext4", "-q", str(image)],
        ["mount", "-o", "loop,errors=remount-ro", str(image), str(mount)],
    ]
    for step in steps:
        if shutil.which(step[0]) is None or subprocess.run(step, capture_output=True, check=False).returncode:
            pytest.skip(f"no {' '.join(step[:1])} here")
    device = os.stat(mount).st_dev
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
    try:
        yield mount, Path(f"/sys/fs/ext4/{name}/trigger_fs_error")
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_on_a_disk_that_becomes_read_only_lines_wait_and_the_logger_lives(disk: tuple[Path, Path]) -> None:
    # LOG-107 (partly)
    mount, trigger = disk
    if not trigger.exists():
        pytest.skip("this kernel makes no errors on purpose")
    logger = Running("svlog", "-t", "0", "r50", mount / "d")
    logger.write(b"before\n")
    until(lambda: content(mount / "d") == b"before\n")
    trigger.write_text("for a test\n")
    logger.write(b"after\n")
    until(lambda: b"Read-only file system" in said(logger))
    logger.write(b"later\n")
    assert logger.process.poll() is None
    assert content(mount / "d") == b"before\n"
    logger.process.kill()
    logger.wait()
    again = Running("svlog", mount.parent / "e", ends=(logger.reading, logger.writing))
    assert again.end() == 0
    assert content(mount.parent / "e") == b"after\nlater\n"  # they have waited in the pipe


SAID: dict[int, bytes] = {}


def said(logger: Running) -> bytes:
    """What it has said on standard error so far."""
    assert logger.process.stderr is not None
    fd = logger.process.stderr.fileno()
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        SAID[logger.process.pid] = SAID.get(logger.process.pid, b"") + os.read(fd, 65536)
    return SAID.get(logger.process.pid, b"")


def test_a_read_only_directory_is_111(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        (tmp_path / "d").mkdir(mode=0o500)
        assert run("svlog", tmp_path / "d").returncode == 111
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,ro", "tmpfs", str(tmp_path)], check=True)
    try:
        found = run("svlog", tmp_path / "d")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    assert found.returncode == 111
    assert b"Read-only file system" in found.stderr
