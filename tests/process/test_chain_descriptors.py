from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.process.chain_tools import PATH, code, ours, out, programs, run, script, start, theirs, until

if TYPE_CHECKING:
    from pathlib import Path

SHOW_FLAGS = ("sh", "-c", "grep flags /proc/self/fdinfo/$0")


def flags(*argv: str, fd: str) -> int:
    """The open flags of a descriptor of the next program."""
    return int(out(*argv, *SHOW_FLAGS, fd).split()[1], 8)


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def test_each_flag_opens_as_the_table_says(tmp_path: Path) -> None:  # CHA-134
    file = tmp_path / "f"
    assert run("redirfd", "-w", "1", str(file), "echo", "hello").stdout == b""
    assert file.read_text() == "hello\n"
    assert code("redirfd", "-a", "1", str(file), "echo", "more") == 0
    assert out("redirfd", "-r", "0", str(file), "cat") == "hello\nmore\n"
    assert code("redirfd", "-u", "1", str(file), "echo", "HELLO") == 0
    assert file.read_text() == "HELLO\nmore\n"
    assert code("redirfd", "-w", "1", str(file), "true") == 0
    assert file.read_text() == ""


def test_what_exists_or_does_not_is_an_error_where_it_matters(tmp_path: Path) -> None:  # CHA-134
    file = tmp_path / "f"
    assert code("redirfd", "-r", "0", str(file), "true") == 111
    assert code("redirfd", "-u", "0", str(file), "true") == 111
    assert code("redirfd", "-x", "1", str(file), "true") == 0
    done = run("redirfd", "-x", "1", str(file), "true")
    assert (done.returncode, done.stderr) == (
        111,
        f"redirfd: fatal: unable to open {file}: File exists\n".encode(),
    )
    assert code("redirfd", "-w", "1", str(tmp_path), "true") == 111


def test_exactly_one_access_flag_is_needed(tmp_path: Path) -> None:  # CHA-134
    file = str(tmp_path / "f")
    for options in ([], ["-n"], ["-r", "-w"], ["-b"], ["--create"], ["-r", "--no-read"]):
        assert code("redirfd", *options, "1", file, "true") == 100
    for fd in ("-1", "x", "", "4294967297", "99999999999999999999"):
        assert code("redirfd", "-w", fd, file, "true") == 100
    assert code("redirfd", "-r", "99999999", "/dev/null", "true") == 111
    assert code("redirfd", "-w", "1", file) == 100


def test_the_creation_mode_is_the_umasks_business(tmp_path: Path) -> None:  # CHA-134
    assert code("umask", "027", "redirfd", "-w", "1", str(tmp_path / "f"), "true") == 0
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_long_options_set_and_take_single_bits(tmp_path: Path) -> None:  # CHA-134
    file = tmp_path / "f"
    file.write_text("old\n")
    assert flags("redirfd", "--read", "--write", "5", str(file), fd="5") & os.O_ACCMODE == os.O_RDWR
    assert code("redirfd", "-w", "--no-trunc", "--append", "1", str(file), "echo", "new") == 0
    assert file.read_text() == "old\nnew\n"
    assert code("redirfd", "--write", "--excl", "--create", "1", str(file), "true") == 111
    assert flags("redirfd", "--read", "--nonblock", "5", str(file), fd="5") & os.O_NONBLOCK
    assert not flags("redirfd", "--read", "-n", "--block", "5", str(file), fd="5") & os.O_NONBLOCK
    assert flags("redirfd", "--read", "--switch-block", "5", str(file), fd="5") & os.O_NONBLOCK


def test_a_variable_can_have_the_number(tmp_path: Path) -> None:  # CHA-134
    file = tmp_path / "f"
    file.write_text("text\n")
    assert out("redirfd", "-f", "-r", "N", str(file), "sh", "-c", "cat <&$N") == "text\n"
    words = out("redirfd", "-rfE", "N", str(file), "sh", "-c", 'cat <&"$1"; echo "$N"', "sh", "${N}")
    assert words == "text\n\n"


def test_the_descriptor_may_have_the_number_already(tmp_path: Path) -> None:  # CHA-134
    (tmp_path / "f").write_text("text\n")
    assert out("fdclose", "0", "redirfd", "-r", "0", str(tmp_path / "f"), "cat") == "text\n"


@pytest.mark.parametrize("options", ["-wn", "-wnb", "-rn", "-rnb", "-an"])
def test_a_fifo_without_a_peer_does_not_stop_an_opening_without_blocking(
    fifo: str, options: str
) -> None:  # CHA-135
    fd = "1" if "w" in options or "a" in options else "0"
    assert (
        ours("redirfd", options, fd, fifo, "true") == theirs("redirfd", options, fd, fifo, "true") == (0, b"")
    )
    blocking = not flags("redirfd", options, "5", fifo, fd="5") & os.O_NONBLOCK
    assert blocking == ("b" in options)


@pytest.mark.parametrize(("options", "peer"), [("-w", os.O_RDONLY), ("-r", os.O_WRONLY)])
def test_a_plain_opening_of_a_fifo_waits_for_the_peer(fifo: str, options: str, peer: int) -> None:  # CHA-135
    waiter = start("redirfd", options, "1", fifo, "true")
    until(
        lambda: (
            "fifo_open" in wchan(waiter.pid) or "wait_for_partner" in wchan(waiter.pid) or blocked(waiter.pid)
        ),
        "it waits in open(2)",
    )
    assert waiter.poll() is None
    fd = os.open(fifo, peer)
    assert waiter.wait(10) == 0
    os.close(fd)


def wchan(pid: int) -> str:
    with open(f"/proc/{pid}/wchan") as file:
        return file.read()


def blocked(pid: int) -> bool:
    """Asleep in openat(2), number 257 on x86-64 and 56 on the newer architectures."""
    try:
        with open(f"/proc/{pid}/syscall") as file:
            return file.read().split()[0] in ("257", "56", "322", "5")
    except OSError:
        return False


def test_a_first_write_without_a_reader_fails_and_does_not_hang(fifo: str) -> None:  # CHA-135
    done = run("redirfd", "-wnb", "1", fifo, "sh", "-c", "trap '' PIPE; exec /bin/echo lost")
    assert done.returncode != 0
    assert b"Broken pipe" in done.stderr


def test_a_read_while_nobody_writes_ends_at_once_and_otherwise_waits(fifo: str) -> None:  # CHA-135
    assert out("redirfd", "-rnb", "0", fifo, "cat") == ""
    keeper = os.open(fifo, os.O_RDWR)
    reader = start("redirfd", "-rnb", "0", fifo, "head", "-n1", stdout=subprocess.PIPE)
    os.write(keeper, b"line\n")
    assert reader.communicate(timeout=10)[0] == b"line\n"
    os.close(keeper)


STAGE1 = """#!/bin/sh
# After the "s6 init-stage1" mail. Stage 2 waits for the logger, the tree does not: its first service is the logger.
# -wnb comes before the waiting: it is a passing reader itself. Descriptor 3 keeps the console for the logger's own errors.
exec 0</dev/null
exec redirfd -wnb 1 scan/svscan-log/fifo sh -c '
    redirfd -w 1 scan/svscan-log/fifo ./stage2 &
    exec fdmove -c 3 2 fdmove -c 2 1 initfs svscan -X 3 scan'
"""
STAGE2 = """#!/bin/sh
echo "stage 2"
echo "an error" >&2
mv later scan/service
exec initfs svscanctl -a scan
"""
LOGGER = "#!/bin/sh\nexec redirfd -rnb 0 fifo cat >> ../../log\n"
SERVICE = "#!/bin/sh\necho a service\ninitfs svscanctl -t ..\nexec sleep 99\n"


def test_stage_1_of_the_mail_loses_nothing_and_blocks_nobody(tmp_path: Path) -> None:  # CHA-135
    (tmp_path / "scan/svscan-log").mkdir(parents=True)
    (tmp_path / "later").mkdir()
    os.mkfifo(tmp_path / "scan/svscan-log/fifo")
    files = {"stage1": STAGE1, "stage2": STAGE2, "scan/svscan-log/run": LOGGER, "later/run": SERVICE}
    for name, text in files.items():
        script(tmp_path / name, text)
    env = {"PATH": f"{programs()}:{PATH}"}
    done = subprocess.run(["./stage1"], cwd=tmp_path, env=env, timeout=20, check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"an error\n")
    assert (tmp_path / "log").read_text() == "stage 2\na service\n"


def test_descriptors_are_moved_copied_swapped_and_closed() -> None:  # CHA-136
    assert out("fdmove", "-c", "2", "1", "sh", "-c", "echo error >&2") == "error\n"
    assert run("fdswap", "1", "2", "sh", "-c", "echo out; echo error >&2").stdout == b"error\n"
    assert run("fdclose", "1", "echo").returncode != 0
    assert out("fdclose", "77", "echo") == "\n"
    assert out("fdmove", "7", "1", "sh", "-c", "echo moved >&7; test ! -e /proc/self/fd/1") == "moved\n"
    assert out("fdmove", "1", "1", "echo", "same") == "same\n"


def test_whether_a_descriptor_blocks_is_set() -> None:  # CHA-136
    reader, writer = os.pipe()
    assert run("fdblock", "-n", str(reader), "true", fds=(reader,)).returncode == 0
    assert not os.get_blocking(reader)
    assert run("fdblock", str(reader), "true", fds=(reader,)).returncode == 0
    assert os.get_blocking(reader)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    "argv",
    [
        ("fdmove", "1", "77"),
        ("fdmove", "-c", "1", "77"),
        ("fdswap", "1", "77"),
        ("fdswap", "77", "1"),
        ("fdblock", "77"),
    ],
)
def test_a_closed_descriptor_is_an_error(argv: tuple[str, ...]) -> None:  # CHA-136
    assert code(*argv, "true") == 111


@pytest.mark.parametrize("bad", ["-1", "x", "", "4294967297", "1.0", "٣"])
@pytest.mark.parametrize("name", ["fdmove", "fdswap", "fdclose", "fdblock"])
def test_what_is_no_descriptor_is_wrong_usage(name: str, bad: str) -> None:  # CHA-136
    assert code(name, *([bad, "1"] if name in ("fdmove", "fdswap") else [bad]), "true") == 100
