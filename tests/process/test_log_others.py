"""Other suites' spellings of a logger, their filters, and their directories: read by each other's tools."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from tests.process.log_world import ENVIRONMENT, Running, archives, content, run, until
from tests.process.tree import ours
from tests.process.waiting import PATIENCE, needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = b"".join(b"%d\n" % number for number in range(1, 20_001))


def directory(base: Path, *config: str) -> Path:
    """A log directory of svlogd."""
    path = base / "d"
    path.mkdir(exist_ok=True)
    (path / "config").write_text("".join(f"{line}\n" for line in config))
    return path


@pytest.mark.parametrize(
    ("flags", "stamp"),
    [
        ([], rb""),
        (["-t"], rb"@4[0-9a-f]{23} "),
        (["-tt"], rb"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{5} "),
        (["-ttt"], rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{5} "),
    ],
)
def test_svlogd_stamps(flags: list[str], stamp: bytes, tmp_path: Path) -> None:
    # RUN-087 LOG-111 (partly)
    path = directory(tmp_path)
    assert run("svlogd", *flags, path, text=b"hi\n").returncode == 0
    assert re.fullmatch(stamp + b"hi\n", content(path))


def test_svlogd_replaces_what_cannot_be_printed(tmp_path: Path) -> None:
    # LOG-111 (partly)
    path = directory(tmp_path)
    assert run("svlogd", "-r", "_", path, text=b"a\x01b\tc\xff\n").returncode == 0
    assert content(path) == b"a_b_c_\n"
    assert run("svlogd", "-R", "bc", path, text=b"abc\x01\n").returncode == 0
    assert content(path) == b"a_b_c_\na__\x01\n"


def test_svlogd_patterns_see_so_many_bytes_of_a_line_and_the_last_that_matches_wins(tmp_path: Path) -> None:
    # LOG-110 (partly) LOG-111
    path = directory(tmp_path, "-*", "+a*", "-abc", "+abc*")
    assert run("svlogd", "-l", "3", path, text=b"abcdef\nabc\nb\nabd\n").returncode == 0
    assert content(path) == b"abcdef\nabc\nabd\n"
    assert run("svlogd", "-l", "10", "-b", "5", path).returncode == 111
    assert run("svlogd").returncode == 111


def test_svlogd_does_what_its_configuration_says(tmp_path: Path) -> None:
    # LOG-109 (partly)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE)
        port = ear.getsockname()[1]
        path = directory(
            tmp_path, "# mine", "", "s5000", "n2", "pX: ", "!wc -l", f"u127.0.0.1:{port}", "e*9", "E*19", "q"
        )
        found = run("svlogd", "-l", "4", path, text=b"8\n9\n19\n12345678\n" + NUMBERS)
        assert [ear.recv(100) for _ in range(4)] == [b"X: 8", b"X: 9", b"X: 19", b"X: 1234..."]
    assert found.returncode == 0
    assert found.stderr.startswith(
        b"svlogd: warning: " + os.fsencode(path) + b"/config: no such setting: q\nX: 9\nX: 9\nX: 29\n"
    )
    assert len(archives(path)) == 2
    assert all(int(archive.read_bytes()) > 100 for archive in archives(path))
    assert (path / "current").read_bytes().endswith(b"X: 20000\n")


def test_svlogd_keeps_all_without_a_number_and_never_rotates_without_a_size(tmp_path: Path) -> None:
    # LOG-109
    path = directory(tmp_path, "s4096", "n0")
    assert run("svlogd", "-l", "100", path, text=NUMBERS).returncode == 0
    assert content(path) == NUMBERS
    assert len(archives(path)) > 20
    (path / "config").write_text("s0\nU127.0.0.1:9\n")
    assert run("svlogd", path, text=b"only sent\n").returncode == 0
    assert content(path) == NUMBERS


def test_svlogd_obeys_alarm_and_term(tmp_path: Path) -> None:
    # LOG-112 (partly)
    path = directory(tmp_path)
    logger = Running("svlogd", path, tmp_path / "missing")
    logger.write(b"1\n")
    until(lambda: content(path) == b"1\n")
    logger.signal(signal.SIGALRM)
    until(lambda: archives(path))
    logger.write(b"2\n")
    until(lambda: content(path) == b"1\n2\n")
    logger.signal(signal.SIGTERM)
    assert logger.wait() == 0
    logger.close_pipe()
    assert b"unable to open the log directory" in logger.said
    assert (path / "current").stat().st_mode & 0o100
    assert run("svlogd", tmp_path / "missing").returncode == 111


def test_svlogd_reads_its_configuration_again(tmp_path: Path) -> None:
    # LOG-112 LOG-109 (partly)
    path = directory(tmp_path, "pA: ")
    logger = Running("svlogd", path)
    logger.write(b"1\n2")
    until(lambda: content(path) == b"A: 1\n")
    directory(tmp_path, "pB: ")
    logger.signal_taken(signal.SIGHUP)
    logger.write(b"2\n3\n")
    until(lambda: content(path) == b"A: 1\nB: 22\nB: 3\n")
    assert logger.end() == 0


def test_multilog_does_in_order_what_its_words_say(tmp_path: Path) -> None:
    # LOG-113
    text = b"tcp: fatal: x\nfatal: y\nb fatal: z\n"
    words = ["e", "-*", "+* fatal: *", f"={tmp_path}/status"]
    found = run("multilog", "t", *words, tmp_path / "d", text=text)
    assert found.returncode == 0
    assert re.fullmatch(rb"@4[0-9a-f]{23} fatal: y\n", content(tmp_path / "d"))  # patterns see the stamp
    assert [line[26:] for line in found.stderr.splitlines()] == text.splitlines()
    assert len((tmp_path / "status").read_bytes()) == 1001
    assert run("multilog", *words, tmp_path / "e", text=text).returncode == 0
    assert content(tmp_path / "e") == b"tcp: fatal: x\nb fatal: z\n"
    assert run("multilog", "s4096", "n3", "!wc -c", tmp_path / "f", text=NUMBERS).returncode == 0
    assert [int(path.read_bytes()) > 2000 for path in archives(tmp_path / "f")] == [True] * 2
    assert run("multilog", "q").returncode == 111


@pytest.mark.parametrize(
    "words", [["t", "s4096", "n5"], ["s20000", "n4", "-1*"], ["s4096", "n3", "+*", "-2*"]]
)
def test_multilog_keeps_what_the_original_keeps(words: list[str], tmp_path: Path) -> None:
    # LOG-113 (partly)
    needs("multilog")
    assert run("multilog", *words, tmp_path / "a", text=NUMBERS).returncode == 0
    subprocess.run(["multilog", *words, tmp_path / "b"], input=NUMBERS, check=True)

    def last(path: Path) -> list[bytes]:
        return [line.rpartition(b" ")[2] for line in content(path).splitlines()]

    mine, theirs = last(tmp_path / "a"), last(tmp_path / "b")
    assert len(archives(tmp_path / "a")) == len(archives(tmp_path / "b"))
    shorter = min(len(mine), len(theirs))
    assert shorter > 100
    assert mine[-shorter:] == theirs[-shorter:]


def test_labels_are_local_time_again_in_the_same_convention(tmp_path: Path) -> None:
    # LOG-114
    before = time.time()
    label = run("tai64n", text=b"x\ny").stdout
    assert re.fullmatch(rb"@4[0-9a-f]{23} x\n@4[0-9a-f]{23} y\n", label)
    found = run("tai64nlocal", "-g", text=label + b"no @label\n@x\nlast").stdout.splitlines()
    written = time.strptime(found[0].decode()[:19], "%Y-%m-%d %H:%M:%S")
    import calendar

    assert before - 1 <= calendar.timegm(written) <= time.time()
    assert found[2:] == [b"no @label", b"@x", b"last"]
    assert not run("tai64nlocal", text=b"last").stdout.endswith(b"\n")
    for name, flags in (("s6-tai64nlocal", []), ("tai64nlocal", ["-d"])):
        needs(name)
        stamped = run("tai64n", *flags, text=b"x\n").stdout
        theirs = subprocess.run(
            [name], input=stamped, capture_output=True, check=True, env=ENVIRONMENT
        ).stdout
        assert theirs == run("tai64nlocal", *flags, text=stamped).stdout
        assert (
            abs(
                time.mktime(time.strptime(theirs.decode()[:19], "%Y-%m-%d %H:%M:%S"))
                - time.mktime(time.gmtime())
            )
            < 15
        )


def test_our_directories_are_read_by_the_tools_of_others(tmp_path: Path) -> None:
    # LOG-114 (partly)
    needs("s6-tai64nlocal", "tai64nlocal")
    for program, arguments, reader, flags in (
        ("svlog", ["t"], "s6-tai64nlocal", []),
        ("svlogd", ["-t"], "tai64nlocal", ["-d"]),
    ):
        path = tmp_path / program
        path.mkdir()
        assert run(program, *arguments, path, text=b"hello\n").returncode == 0
        theirs = subprocess.run(
            [reader], input=content(path), capture_output=True, check=True, env=ENVIRONMENT
        )
        assert theirs.stdout == run("tai64nlocal", *flags, text=content(path)).stdout
        assert theirs.stdout.endswith(b" hello\n")


def test_s6_log_takes_over_a_directory_of_ours_and_we_take_it_back(tmp_path: Path) -> None:
    needs("s6-log")
    third = len(NUMBERS) // 3
    cuts = [0, NUMBERS.index(b"\n", third) + 1, NUMBERS.index(b"\n", 2 * third) + 1, len(NUMBERS)]
    parts = [NUMBERS[begin:end] for begin, end in itertools.pairwise(cuts)]
    words = ["n100", "s8192", str(tmp_path / "d")]
    assert run("svlog", *words, text=parts[0]).returncode == 0
    subprocess.run(["s6-log", *words], input=parts[1], check=True)
    assert run("svlog", *words, text=parts[2]).returncode == 0
    assert content(tmp_path / "d") == NUMBERS
    assert not [path for path in archives(tmp_path / "d") if path.suffix == ".u"]


def test_ucspilogd_makes_syslog_readable() -> None:
    # LOG-115
    label = b"@400000006b0048b5248aa14b "
    environment = {**ENVIRONMENT, "A": "1"}
    text = b"<13>x\0\n" + label + b"<86>y\n<z\nlast"
    found = run("ucspilogd", "-D", "none", "A", "B", text=text, env=environment)
    before = b"1: none: "
    assert found.stdout == (
        before
        + b"user.notice: x\n"
        + label
        + before
        + b"authpriv.info: y\n"
        + before
        + b"<z\n"
        + before
        + b"last\n"
    )
    assert run("ucspilogd", "-q").returncode == 100


def serving(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A socklog that is ready."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ours("socklog", "-d", str(writing), *arguments),
        env=ENVIRONMENT,
        stdout=(tmp_path / "out").open("wb"),
        pass_fds=(writing,),
    )
    os.close(writing)
    assert os.read(reading, 2) == b"\n"
    os.close(reading)
    return process


def test_socklog_reads_the_socket_of_syslog(tmp_path: Path) -> None:
    # LOG-116
    path = tmp_path / "log"
    path.touch()
    as_nobody = ["-u", "65534", "-g", "65534"] if os.geteuid() == 0 else []
    process = serving(tmp_path, *as_nobody, "-l", "100", "-x", str(path))
    assert path.stat().st_mode & 0o777 == 0o777
    if as_nobody:
        status = open(f"/proc/{process.pid}/status").read()  # noqa: SIM115
        assert "Uid:\t65534\t65534" in status
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        for datagram in (b"<13>a\n\0", b"<86>b\nc\0d", b"\n", b"x" * 200, b"plain"):
            mouth.sendto(datagram, str(path))
    until(lambda: (tmp_path / "out").read_bytes().endswith(b"plain\n"))
    assert (tmp_path / "out").read_bytes() == (
        b"user.notice: a\nauthpriv.info: b~c~d\n" + b"x" * 100 + b"...\nplain\n"
    )
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_socklog_reads_udp_and_says_who_sent(tmp_path: Path) -> None:
    # LOG-117
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = serving(tmp_path, "-i", f"127.0.0.1_{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.bind(("127.0.0.1", 0))
        mouth.sendto(b"<13>x", ("127.0.0.1", port))
        sender = mouth.getsockname()[1]
    until(lambda: (tmp_path / "out").read_bytes().endswith(b"\n"))
    assert (tmp_path / "out").read_bytes() == b"127.0.0.1_%d: user.notice: x\n" % sender
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "arguments", [["-x", "a", "-i", "b"], ["-U"], ["-u", "x"], ["-d", "1"], ["inet", "x"], ["-z"]]
)
def test_socklog_refuses_nonsense(arguments: list[str]) -> None:
    # LOG-116 (partly)
    environment = {
        name: value for name, value in ENVIRONMENT.items() if name not in ("UID", "GID", "GIDLIST")
    }
    assert run("socklog", *arguments, env=environment).returncode == 100
