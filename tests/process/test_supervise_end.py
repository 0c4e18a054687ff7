"""How a tree ends: commands, signals, scripts in their place, the catch-all logger, finish and crash."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess

import pytest

from tests.process.service import LISTENER
from tests.process.waiting import alive, wait_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from tests.process.tree import Tree

TOLD = 'echo "$0 $*" >"$EAR"'


def up(tree: Tree) -> int:
    """Start it with one service; the pid of that."""
    tree.add("a")
    tree.start()
    return int(tree.wait_for("up", "a")["pid"])


@pytest.mark.parametrize("letter", "zahnN")
def test_svscanctl_commands_that_end_nothing(letter: str, tree: Tree) -> None:
    # SUP-016
    pid = up(tree)
    assert tree.ours("svscanctl", f"-{letter}", tree.scandir).returncode == 0
    tree.settle()
    assert alive(pid)


@pytest.mark.parametrize("letter", "itq")
def test_svscanctl_commands_that_end_it_all(letter: str, tree: Tree) -> None:
    # SUP-016
    pid = up(tree)
    assert tree.ours("svscanctl", f"-{letter}", tree.scandir).returncode == 0
    assert tree.wait_end() == 0
    assert not alive(pid)
    after = tree.ours("svscanctl", f"-{letter}", tree.scandir)
    assert (after.returncode, after.stderr.count("\n")) == (100, 1)


def test_abort_ends_at_once_and_kills_nothing(tree: Tree) -> None:
    # SUP-019 SUP-016
    pid = up(tree)
    tree.script("finish", TOLD)
    assert tree.ours("svscanctl", "-b", tree.scandir).returncode == 0
    assert tree.ear.line() == ".svscan/finish "
    assert tree.wait_end() == 0
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_svscanctl_with_nothing_to_say_or_nobody_to_say_it_to(tree: Tree) -> None:
    # SUP-016 QUA-241 (partly)
    assert tree.ours("svscanctl", tree.scandir).returncode == 0
    assert tree.ours("svscanctl", "-a", tree.scandir).returncode == 100
    assert tree.ours("svscanctl", "-a").returncode == 100
    assert tree.ours("svscanctl", "-y", tree.scandir).returncode == 100
    tree.start()
    assert tree.ours("svscanctl", "-" + "a" * 65, tree.scandir).returncode == 100
    assert tree.ours("svscanctl", "-" + "a" * 64, tree.scandir).returncode == 0


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (["-0"], "halt"),
        (["-6"], "reboot"),
        (["-7"], "poweroff"),
        (["-8"], "other"),
        (["-st"], "halt"),
        (["-rt"], "reboot"),
        (["-p", "-t"], "poweroff"),
        (["-t"], ""),
    ],
)
def test_the_historic_spellings_tell_finish_what_the_end_is_for(
    options: list[str], mode: str, tree: Tree
) -> None:
    # SUP-020 SUP-021 (partly)
    pid = up(tree)
    tree.script("finish", TOLD)
    assert tree.ours("svscanctl", *options, tree.scandir).returncode == 0
    assert tree.ear.line() == f".svscan/finish {mode}"
    assert tree.wait_end() == 0
    assert not alive(pid)


def test_finish_comes_when_all_is_down_and_its_exit_code_is_the_tree_s(tree: Tree) -> None:
    # SUP-021 SUP-025 (partly)
    pid = up(tree)
    tree.script("finish", f"kill -0 {pid} 2>/dev/null && echo alive >$EAR; pwd >$EAR; exit 7")
    assert tree.stop() == 7
    assert tree.ear.lines() == [str(tree.scandir)]


def test_a_finish_that_cannot_be_run_leads_to_crash_and_a_missing_crash_to_an_exit_code(tree: Tree) -> None:
    # SUP-021
    up(tree)
    tree.script("finish", "true").chmod(0o644)
    tree.script("crash", TOLD + "; exit 9")
    assert tree.stop() == 9
    assert tree.ear.lines() == [".svscan/crash "]
    (tree.scandir / ".svscan/crash").unlink()
    tree.start()
    assert tree.stop() == 127


# Signals ------------------------------------------------------------------------------------------


def test_alarm_scans_and_hangup_scans_and_prunes(tree: Tree) -> None:
    # SUP-022
    pid = up(tree)
    tree.add("b")
    os.kill(tree.pid, signal.SIGALRM)
    tree.wait_for("up", "b")
    (tree.scandir / "a").rename(tree.base / "a")
    os.kill(tree.pid, signal.SIGALRM)
    tree.settle()
    assert alive(pid)
    os.kill(tree.pid, signal.SIGHUP)
    tree.wait_for("released", "a")
    assert not alive(pid)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_that_end_it_in_order(signum: int, tree: Tree) -> None:
    # SUP-022
    tree.add("a/log")
    pid = up(tree)
    logger = tree.wait_for("up", "a/log")["pid"]
    os.kill(tree.pid, signum)
    tree.wait_for("released", "a")
    if signum != signal.SIGQUIT:  # this logger does not end by end-of-file
        assert alive(logger)
        os.kill(logger, signal.SIGKILL)
    assert tree.wait_end() == 0
    assert not alive(pid)


def test_abort_by_signal_leaves_everything_alone(tree: Tree) -> None:
    # SUP-022
    pid = up(tree)
    os.kill(tree.pid, signal.SIGABRT)
    assert tree.wait_end() == 0
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["PIPE", "USR1", "USR2", "PWR", "WINCH", "CHLD"])
def test_signals_that_mean_nothing(name: str, tree: Tree) -> None:
    # SUP-022
    pid = up(tree)
    os.kill(tree.pid, signal.Signals[f"SIG{name}"])
    tree.settle()
    assert alive(pid)


@pytest.mark.parametrize("name", ["HUP", "TERM", "INT", "QUIT", "USR1", "USR2", "PWR", "WINCH"])
def test_a_script_takes_the_place_of_a_signal_s_meaning(name: str, tree: Tree) -> None:
    # SUP-023
    pid = up(tree)
    tree.script(f"SIG{name}", TOLD)
    os.kill(tree.pid, signal.Signals[f"SIG{name}"])
    assert tree.ear.line() == f"./.svscan/SIG{name} "
    tree.settle()
    assert alive(pid)


def test_an_empty_script_ignores_and_one_that_is_not_executable_does_not(tree: Tree) -> None:
    # SUP-023
    pid = up(tree)
    tree.script("SIGTERM", "")
    os.kill(tree.pid, signal.SIGTERM)
    tree.settle()
    assert alive(pid)
    (tree.scandir / ".svscan/SIGTERM").chmod(0o644)
    os.kill(tree.pid, signal.SIGTERM)
    assert tree.wait_end() == 0


def test_a_script_that_cannot_be_run_is_said_and_the_built_in_action_applies(tree: Tree) -> None:
    # SUP-023
    up(tree)
    tree.script("SIGTERM", "").write_text("#!/nowhere/at/all\n")
    os.kill(tree.pid, signal.SIGTERM)
    assert tree.wait_end() == 0
    assert "unable to run .svscan/SIGTERM" in tree.said


# The catch-all logger and the console --------------------------------------------------------------


def catch_all(tree: Tree, console: Path) -> None:
    """A tree whose own words go to the FIFO of svscan-log, and whose console is a file."""
    fifo = tree.add(
        "svscan-log",
        "echo on the console >&2; exec <fifo; echo reads >$EAR; exec cat >>../../caught",
        down="",
    )
    os.mkfifo(fifo / "fifo")
    tree.add(
        "a", "echo not logged; echo said >$EAR; exec sleep 999", down=""
    )  # before somebody reads, it would die
    fd = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    tree.options = ["-X", str(fd)]
    tree.start(pass_fds=(fd,), prefix=("sh", "-c", f'exec 4<>{fifo}/fifo "$@" >{fifo}/fifo 2>&1 4>&-', "-"))
    os.close(fd)


def test_the_catch_all_logger_speaks_to_the_console_and_ends_last(tree: Tree) -> None:
    # SUP-024 SUP-025 (partly)
    console = tree.base / "console"
    catch_all(tree, console)
    tree.script("finish", "echo finish on the console; echo its errors too >&2")
    tree.send("svscan-log", "u")
    logger = tree.wait_for("up", "svscan-log")["pid"]
    assert tree.ear.line() == "reads"
    tree.send("a", "u")
    assert tree.ear.line() == "said"
    tree.control("!")  # a complaint of the tree itself
    tree.control("t")
    assert tree.wait_end() == 0
    wait_dead(logger)
    caught = (tree.base / "caught").read_text()
    assert "not logged" in caught
    assert "unknown command" in caught
    assert "console" not in caught
    assert console.read_text() == "on the console\nfinish on the console\nits errors too\n"
    ends = {event["service"]: event["reason"] for event in tree.events if event["event"] == "down"}
    assert ends["svscan-log"] == "exit 0", "it ended by end-of-file"


def test_without_a_catch_all_logger_its_words_go_where_they_went(tree: Tree) -> None:
    # SUP-024 (partly)
    up(tree)
    tree.script("finish", "echo to the end")
    assert tree.stop() == 0
    assert "to the end" in tree.said


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_at_the_end_pipes_close_then_all_are_waited_for_then_finish_runs(tree: Tree) -> None:
    # SUP-025
    tree.add("a/log", "exec cat >/dev/null")
    up(tree)
    logger = tree.wait_for("up", "a/log")["pid"]
    tree.script("finish", "true")
    pipe = os.readlink(f"/proc/{logger}/fd/0")
    fds = sorted(
        int(fd)
        for fd in os.listdir(f"/proc/{tree.pid}/fd")
        if os.readlink(f"/proc/{tree.pid}/fd/{fd}") == pipe
    )
    assert len(fds) == 2
    trace = tree.base / "trace"
    tracer = subprocess.Popen(
        ["strace", "-p", str(tree.pid), "-e", "close,wait4,execve,kill", "-o", trace],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    assert tree.stop() == 0
    tracer.wait(10)
    tracer.stderr.close()
    lines = trace.read_text().splitlines()

    def first(text: str) -> int:
        return next(index for index, line in enumerate(lines) if line.startswith(text))

    assert first(f"close({fds[1]})") < first(
        f"wait4(-1, [{{WIFEXITED(s) && WEXITSTATUS(s) == 0}}], WNOHANG, NULL) = {logger}"
    )
    assert lines.index(next(line for line in lines if f") = {logger}" in line)) < first(
        'execve(".svscan/finish"'
    )


def test_a_service_and_its_logger_that_go_together_are_let_go_once(tree: Tree) -> None:
    tree.add("a", down="")
    tree.add("a/log", down="")
    tree.add("slow", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.settle()
    tree.control("t")
    tree.wait_for("released", "a/log")
    assert [tree.ear.line(), tree.ear.line()] == ["SIGTERM", "SIGCONT"]
    tree.send("slow", "k")
    tree.wait_for("released", "slow")
    assert tree.process is not None
    try:
        assert tree.process.wait(2) == 0
    finally:
        tree.process.kill()
    assert "bug" not in tree.said


@pytest.mark.parametrize("letters", ["ant", "hnq"])
def test_an_end_waits_for_no_scan_that_a_prune_waits_for(letters: str, tree: Tree) -> None:
    pid = up(tree)
    tree.settle()
    limits = resource.prlimit(tree.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(tree.pid, resource.RLIMIT_NOFILE, (3, limits[1]))  # no scan can succeed
    try:
        tree.control(letters)
        tree.wait_for("released", "a", patience=5.0)
    finally:
        resource.prlimit(tree.pid, resource.RLIMIT_NOFILE, limits)
    assert tree.wait_end() == 0
    assert not alive(pid)
