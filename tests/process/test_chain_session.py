from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.process.chain_tools import PATH, code, ours, out, programs, real, run, start, theirs, until

if TYPE_CHECKING:
    from pathlib import Path

SHOW = ("sh", "-c", "ps -o pid=,pgid=,sid= -p $$")


@pytest.mark.parametrize(
    "argv", [("setsid",), ("setsid", "-s"), ("setsid", "-i"), ("pgrphack",), ("setsid", "setsid", "-q"),
             ("setsid", "pgrphack")]
)  # fmt: skip
def test_a_new_session_is_led_by_the_program(argv: tuple[str, ...]) -> None:  # CHA-128
    pid, group, session = out(*argv, *SHOW).split()
    assert pid == group == session


def test_a_new_group_stays_in_the_session() -> None:  # CHA-128
    pid, group, session = out("setsid", "-b", *SHOW).split()
    assert pid == group
    assert session == str(os.getsid(0))


def test_a_failure_is_an_error_a_warning_or_nothing() -> None:  # CHA-128
    strict, warned, quiet = (run("setsid", "setsid", option, "true") for option in ("-i", "-I", "-q"))
    assert (strict.returncode, strict.stderr) == (
        111,
        b"setsid: fatal: unable to make a session: Operation not permitted\n",
    )
    assert (warned.returncode, warned.stderr) == (
        0,
        b"setsid: warning: unable to make a session: Operation not permitted\n",
    )
    assert (quiet.returncode, quiet.stderr) == (0, b"")


def test_a_terminal_that_is_none_is_a_failure() -> None:  # CHA-128
    for option in ("-f", "-g"):
        assert code("setsid", option, "-i", "-d", "0", "true") == 111
        assert code("setsid", "setsid", option, "-i", "true") == 111  # no /dev/tty in a new session


def test_the_terminal_is_grabbed_by_a_new_group() -> None:  # CHA-128
    ours_end, theirs_end = os.openpty()

    def lead() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(theirs_end), os.O_RDWR))  # the session's terminal now

    done = subprocess.run(
        ["sh", "-c", '"$@"; true', "sh", str(programs() / "setsid"), "-g", "-i", "sh", "-c", "ps -o pgid=,tpgid= -p $$"],
        env={"PATH": PATH}, stdin=theirs_end, capture_output=True, preexec_fn=lead, timeout=10, check=True,
    )  # fmt: skip
    os.close(ours_end)
    os.close(theirs_end)
    group, foreground = done.stdout.split()
    assert group == foreground


def holding(lock: Path, *options: str) -> subprocess.Popen[bytes]:
    """Somebody who has the lock, until its standard input ends."""
    holder = start(
        "setlock",
        *options,
        str(lock),
        "sh",
        "-c",
        "echo; exec cat",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    holder.stdout.readline()
    return holder


def test_a_held_lock_is_a_no_at_once_or_after_a_time(tmp_path: Path) -> None:  # CHA-129
    lock = tmp_path / "lock"
    with holding(lock) as holder:
        for options in (["-n"], ["-t", "30"], ["-n", "-r"]):
            done = run("setlock", *options, str(lock), "echo", "got it")
            assert (done.returncode, done.stdout) == (1, b"")
        assert code("setlock", "-x", "-n", str(lock), "echo") == 0
        assert theirs("s6-setlock", "-n", str(lock), "true")[0] == 1
        holder.communicate()
    assert out("setlock", "-n", str(lock), "echo", "got it") == "got it\n"


def test_the_real_ones_lock_keeps_ours_out(tmp_path: Path) -> None:  # CHA-129
    lock = tmp_path / "lock"
    command = [real("s6-setlock"), str(lock), "sh", "-c", "echo; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert code("setlock", "-n", str(lock), "true") == 1
        holder.communicate()


@pytest.mark.parametrize("options", [[], ["-N"], ["-t", "9000"]])
def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path, options: list[str]) -> None:  # CHA-129
    lock = tmp_path / "lock"
    with holding(lock) as holder:
        waiter = start("setlock", *options, str(lock), "true")
        waits = f" -> POSIX  ADVISORY  WRITE {waiter.pid} "

        def waiting() -> bool:
            with open("/proc/locks") as locks:
                return waits in locks.read()

        until(waiting, "it waits for the lock")
        holder.communicate()
        assert waiter.wait(10) == 0


def test_readers_share_a_lock(tmp_path: Path) -> None:  # CHA-129
    lock = tmp_path / "lock"
    with holding(lock, "-r") as holder:
        assert code("setlock", "-n", "-r", str(lock), "true") == 0
        assert code("setlock", "-n", "-w", str(lock), "true") == 1
        holder.communicate()


def test_the_locks_descriptor_has_the_number_that_was_asked_for(tmp_path: Path) -> None:  # CHA-129
    lock = tmp_path / "lock"
    assert out("setlock", "-d", "9", str(lock), "readlink", "/proc/self/fd/9") == f"{lock}\n"


def test_a_lock_file_that_cannot_be_is_an_error(tmp_path: Path) -> None:  # CHA-129
    assert code("setlock", str(tmp_path), "true") == 111
    assert code("setlock", str(tmp_path / "no" / "lock"), "true") == 111
    assert code("setlock", "-x", str(tmp_path / "no" / "lock"), "true") == 0
    assert code("setlock", "-x", str(tmp_path / "lock"), "nosuch") == 0
    assert code("setlock", "-t", "x", str(tmp_path / "lock"), "true") == 100


def test_an_alarm_does_not_reach_the_next_program(tmp_path: Path) -> None:  # CHA-129
    lock = tmp_path / "lock"
    assert ours("setlock", "-t", "9000", str(lock), "sh", "-c", "trap 'echo late' ALRM; echo done") == (
        0,
        b"done\n",
    )
