"""The life of a service: start, readiness, restart, finish, time-outs, and what the files in its directory change."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

from initfs.supervise.status import FINISH, LENGTH, RUN, decode
from tests.process.tree import LISTENER, READY_ON_3, Late, Tree, alive, make_service, wait_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOLD = 'echo "$*" >"$EAR"'
HEEDLESS = "trap '' TERM; echo up >$EAR; while :; do read -r line <>../../never; done"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        os.mkfifo(tmp_path / "never")
        yield tree


def test_run_is_told_its_name_as_the_scan_directory_spells_it(tree: Tree) -> None:
    # SUP-033
    tree.add("a", TOLD + '; echo "$0" >$EAR; exec sleep 999')
    tree.add("a/log", TOLD + "; exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("up", "a/log")
    assert sorted(tree.ear.line() for _ in range(3)) == ["./run", "a", "a/log"]


def test_run_and_finish_are_leaders_of_new_sessions_in_their_directory(tree: Tree) -> None:
    # SUP-034
    show = 'echo "$$ $(cut -d" " -f5,6 /proc/$$/stat) $(pwd)" >"$EAR"'
    service = tree.add("a", f"{show}; exec sleep 999", finish=show)
    tree.start()
    first = tree.ear.line().split()
    tree.send("a", "d")
    second = tree.ear.line().split()
    for pid, group, session, directory in (first, second):
        assert pid == group == session
        assert directory == str(service)
    assert first[0] != second[0]


def test_the_environment_is_the_same_at_every_start_and_in_finish(tree: Tree) -> None:
    # SUP-035
    show = "tr '\\0' '\\n' </proc/$$/environ | sort | cksum >\"$EAR\""
    tree.add("a", f"{show}; exec sleep 999", finish=show)
    tree.environment["SHELL_LEFT"] = "1"
    tree.start()
    seen = []
    for letter in "kdud":  # restarted by itself, then by hand; each death has its finish
        seen += [tree.ear.line()]
        tree.send("a", letter)
        if letter == "k":
            seen += [tree.ear.line()]
    seen += [tree.ear.line()]
    assert len(seen) == 6
    assert len(set(seen)) == 1


def test_a_down_file_keeps_it_down_until_it_is_asked(tree: Tree) -> None:
    # SUP-036
    tree.add("a", down="")
    tree.start()
    tree.wait_for("tree")
    tree.settle()
    assert tree.happened("a") == ["supervised"]
    assert "down (not started yet)" in tree.ours("svstat", "a").stdout
    assert "normally" not in tree.ours("svstat", "a").stdout
    tree.send("a", "u")
    tree.wait_for("up", "a")
    assert "normally down" in tree.ours("svstat", "a").stdout


def test_a_crash_loop_costs_one_start_a_second_and_a_good_service_comes_back_at_once(tree: Tree) -> None:
    # SUP-037
    tree.add("bad", "exit 1")
    tree.add("good")
    tree.start()
    good = tree.wait_for("up", "good")
    starts = [tree.wait_for("up", "bad")["time"] for _ in range(3)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(0.99 <= gap < 4.0 for gap in gaps), gaps
    os.kill(good["pid"], signal.SIGKILL)
    died = tree.wait_for("down", "good")["time"]
    assert tree.wait_for("up", "good")["time"] - died < 0.9


def test_an_explicit_start_does_not_wait(tree: Tree) -> None:
    # SUP-038
    tree.add("a", "exit 1")
    tree.start()
    tree.wait_for("finished", "a")
    asked = time.monotonic()
    tree.send("a", "u")
    assert tree.wait_for("up", "a")["time"] - asked < 0.9


@pytest.mark.parametrize(
    ("run", "expected"),
    [("exit 0", "0 0"), ("exit 7", "7 0"), ("exit 255", "255 0"), ("kill -KILL $$", "256 9")],
)
def test_finish_is_told_how_run_ended(run: str, expected: str, tree: Tree) -> None:
    # SUP-039
    tree.add("a", run, finish=TOLD)
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    assert tree.ear.line() == f"{expected} a {pid}"


def test_finish_can_end_what_its_process_group_left(tree: Tree) -> None:
    # SUP-039
    tree.add("a", "sleep 999 & echo $! >$EAR; wait", finish="kill -KILL -$4")
    tree.start()
    child = int(tree.ear.line())
    tree.send("a", "t")
    tree.wait_for("finished", "a")
    wait_dead(child)


def test_finish_with_125_is_a_permanent_failure(tree: Tree) -> None:
    # SUP-040
    tree.add("a", "exit 3", finish="exit 125")
    tree.start()
    assert "125" in tree.wait_for("failed", "a")["reason"] or tree.happened("a").count("up") == 1
    tree.wait_for("finished", "a")
    tree.settle()
    assert not tree.status("a").wanted
    assert tree.happened("a").count("up") == 1
    assert "down (exitcode 3)" in tree.ours("svstat", "a").stdout
    tree.send("a", "u")
    tree.wait_for("up", "a")


def test_a_finish_that_takes_too_long_is_killed(tree: Tree) -> None:
    # SUP-041
    tree.add("a", "exit 1", finish="echo $$ >$EAR; trap '' TERM; exec sleep 999", timeout_finish="200\n")
    tree.add("b", "exit 1", finish="echo $$ >$EAR; kill -STOP $$", timeout_finish="200\n")
    tree.start()
    for name in ("a", "b"):
        began = tree.wait_for("down", name)["time"]
        assert 0.1 <= tree.wait_for("finished", name)["time"] - began < 4.0  # 5 s without the file


def test_without_a_file_finish_has_5_seconds_and_with_0_it_has_for_ever(tree: Tree) -> None:
    # SUP-041
    tree.add("a", "exit 1", finish="exec sleep 999")
    tree.add("b", "exit 1", finish="exec sleep 999", timeout_finish="0\n")
    tree.start()
    began = tree.wait_for("down", "a")["time"]
    tree.wait_for("down", "b")
    assert 4.99 <= tree.wait_for("finished", "a")["time"] - began < 6.0
    assert tree.status("b").state == FINISH
    os.kill(tree.status("b").pid, signal.SIGKILL)


def test_a_run_that_ignores_term_is_killed_after_its_time(tree: Tree) -> None:
    # SUP-042
    tree.add("a", HEEDLESS, timeout_kill="200\n")
    tree.start()
    assert tree.ear.line() == "up"
    asked = time.monotonic()
    tree.send("a", "d")
    down = tree.wait_for("down", "a")
    assert down["reason"] == "signal KILL"
    assert 0.19 <= down["time"] - asked < 4.0


def test_without_the_file_nothing_is_killed_and_with_the_flag_the_group_is(tree: Tree) -> None:
    # SUP-042
    tree.add("a", "sleep 998 & echo $! >$EAR; " + HEEDLESS, timeout_kill="100\n", flag_timeout_killpg="")
    tree.start()
    child = int(tree.ear.line())
    assert tree.ear.line() == "up"
    tree.add("b", HEEDLESS)
    tree.control("a")
    patient = tree.wait_for("up", "b")["pid"]
    assert tree.ear.line() == "up"
    tree.send("b", "d")
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    wait_dead(child)
    assert alive(patient)
    os.kill(patient, signal.SIGKILL)


@pytest.mark.parametrize("word", ["INT", "SIGINT", "int", "2", "2\nand more"])
def test_the_down_signal_is_a_name_or_a_number(word: str, tree: Tree) -> None:
    # SUP-043
    tree.add("a", LISTENER, down_signal=word + "\n")
    tree.start()
    assert tree.ear.line() == "up"
    tree.send("a", "r")
    assert tree.ear.line() == "SIGINT"
    tree.settle()
    assert tree.status("a").wanted
    tree.send("a", "d")
    assert tree.ear.line() == "SIGINT"
    assert tree.ear.line() == "SIGCONT"
    tree.settle()
    assert not tree.status("a").wanted
    tree.send("a", "k")


def test_the_reload_signal_is_hangup_unless_a_file_says_otherwise(tree: Tree) -> None:
    # SUP-044
    service = tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.send("a", "l")
    assert tree.ear.line() == "SIGHUP"
    (service / "reload-signal").write_text("USR1\n")
    tree.send("a", "l")
    assert tree.ear.line() == "SIGUSR1"
    tree.send("a", "k")


def test_a_newline_on_the_notification_descriptor_is_readiness(tree: Tree) -> None:
    # SUP-045
    tree.add("a", READY_ON_3, notification_fd="3\n")
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("ready", "a")
    tree.settle()
    assert tree.status("a").ready
    assert tree.ours("svc", "-wU", "-u", "a").returncode == 0
    tree.send("a", "d")
    tree.wait_for("finished", "a")
    tree.settle()
    assert not tree.status("a").ready


def test_what_closes_its_notification_descriptor_silently_is_not_ready(tree: Tree) -> None:
    # SUP-045
    tree.add(
        "a", "printf 'no newline' >&3; exec 3>&-; echo closed >$EAR; exec sleep 999", notification_fd="3"
    )
    tree.start()
    assert tree.ear.line() == "closed"
    tree.settle()
    assert "ready" not in tree.happened("a")
    pid = tree.status("a").pid
    assert alive(pid)


@pytest.mark.parametrize(("knob", "kept"), [(None, 100), ("5\n", 5), ("0\n", 0)])
def test_deaths_are_tallied_up_to_the_maximum(knob: str | None, kept: int, tree: Tree) -> None:
    # SUP-049
    count = 105 if knob is None else 7
    service = tree.add("a", "kill -KILL $$", **({} if knob is None else {"max_death_tally": knob}))
    tree.start()
    for _ in range(count - 1):
        tree.wait_for("finished", "a")
        tree.send("a", "o")
    tree.wait_for("finished", "a")
    tree.settle()
    tally = (service / "supervise/death_tally").read_bytes()
    assert len(tally) == 14 * kept
    for number in range(kept):
        assert struct.unpack_from(">BB", tally, 14 * number + 12) == (128 + 9, 9)
    stamps = [tally[14 * number :][:12] for number in range(kept)]
    assert stamps == sorted(stamps)


def test_a_damaged_tally_is_begun_anew(tree: Tree) -> None:
    # SUP-049
    service = tree.add("a", "exit 3", down="")
    tree.start()
    tree.wait_furnished("a")
    (service / "supervise/death_tally").write_bytes(b"garbage")
    tree.send("a", "o")
    tree.wait_for("finished", "a")
    tree.settle()
    tally = (service / "supervise/death_tally").read_bytes()
    assert (len(tally), tally[12:]) == (14, b"\x03\x00")


def test_data_and_env_are_never_touched(tree: Tree) -> None:
    # SUP-050
    service = tree.add("a", "exit 1", finish="exit 0")
    for name in ("data", "env"):
        (service / name).mkdir()
        (service / name / "run").write_text("#!/bin/sh\necho executed >$EAR\n")
        (service / name / "run").chmod(0o755)
        (service / name).chmod(0o711)
    before = [os.stat(service / name) for name in ("data", "env", "data/run", "env/run")]
    tree.start()
    tree.wait_for("finished", "a")
    for letter in "uoUDQdpctkx":
        tree.send("a", letter)
    tree.wait_for("released", "a")
    tree.control("an")
    tree.settle()
    after = [os.stat(service / name) for name in ("data", "env", "data/run", "env/run")]
    assert before == after
    assert tree.ear.lines() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_directory_needs_only_event_and_supervise_to_be_writable(tmp_path: Path) -> None:
    # SUP-051
    inside = f"""
    mount --bind {tmp_path}/scan/a {tmp_path}/scan/a
    mount -o remount,bind,ro {tmp_path}/scan/a
    touch {tmp_path}/scan/a/x 2>/dev/null && echo writable
    exec "$@"
    """
    with Tree(tmp_path) as tree:
        service = tree.add("a", READY_ON_3, notification_fd="3\n", finish="true")
        for name in ("supervise", "event"):
            (tree.base / name).mkdir()
            (service / name).symlink_to(tree.base / name)
        tree.start(prefix=("unshare", "-m", "sh", "-c", inside, "-"))
        tree.wait_for("ready", "a")
        (tree.base / "supervise/control").write_bytes(b"D")
        tree.wait_for("finished", "a")
        tree.wait_said("a: unable to create down: Read-only file system")
        (tree.base / "supervise/control").write_bytes(b"U")
        tree.wait_for("up", "a")
        tree.settle()
        assert decode((tree.base / "supervise/status").read_bytes()).state == RUN
        assert tree.stop() == 0
        assert "writable" not in tree.said


def test_dangling_links_for_supervise_and_event_get_their_targets(tree: Tree) -> None:
    # SUP-051
    service = tree.add("a")
    for name in ("supervise", "event"):
        (service / name).symlink_to(tree.base / f"elsewhere-{name}")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert (tree.base / "elsewhere-supervise/status").exists()
    assert (tree.base / "elsewhere-event").stat().st_mode & 0o7777 == 0o3730


def test_our_files_have_the_modes_that_clients_expect(tree: Tree) -> None:
    # SUP-054 (partly)
    service = tree.add("a")
    tree.start()
    tree.wait_furnished("a")
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (service / "supervise").iterdir()}
    expected = {"control": 0o600, "ok": 0o600, "lock": 0o644, "status": 0o644, "pid": 0o644, "stat": 0o644}
    assert {name: modes[name] for name in expected} == expected
    assert (service / "supervise").stat().st_mode & 0o7777 == 0o700
    assert (service / "event").stat().st_mode & 0o7777 == 0o3730


def test_the_status_file_can_be_read_at_every_moment(tree: Tree) -> None:
    # SUP-054
    tree.add("a", "echo >&3; exec sleep 999", notification_fd="3\n", finish="exit 0")
    tree.start()
    tree.wait_for("ready", "a")
    path = tree.scandir / "a/supervise/status"
    seen = set()
    for letter, event in [("k", "finished"), ("u", "ready")] * 20:
        goal = tree.happened("a").count(event) + 1
        deadline = time.monotonic() + 20
        tree.send("a", letter)
        while tree.happened("a").count(event) < goal and time.monotonic() < deadline:
            data = path.read_bytes()
            found = decode(data)
            assert len(data) == LENGTH
            assert found.pid == int.from_bytes(data[24:32], "big")
            assert (found.pid == 0) == (found.state == 0)
            seen.add(found.state)
    assert RUN in seen


def test_x_ends_supervision_after_the_next_death_and_finish_sees_dev_null(tmp_path: Path) -> None:
    # SUP-053
    with Tree(tmp_path) as tree:
        show = "in=$(readlink /proc/$$/fd/0); out=$(readlink /proc/$$/fd/1); echo $in >$EAR; echo $out >$EAR"
        service = make_service(tree.base / "a", finish=show)
        (tree.scandir / "a").symlink_to(service)
        make_service(service / "log", "exec cat >/dev/null")
        tree.start()
        pid = tree.wait_for("up", "a")["pid"]
        tree.send("a", "x")
        tree.settle()
        assert alive(pid)
        assert tree.status("a").state == RUN
        (tree.scandir / "a").unlink()
        tree.control("a")
        tree.settle()
        os.kill(pid, signal.SIGTERM)
        assert [tree.ear.line(), tree.ear.line()] == ["/dev/null", "/dev/null"]
        tree.wait_for("released", "a")
        assert tree.happened("a").count("up") == 1


def test_self_once_first_thing_in_run_then_a_later_up_reruns_it_exactly_once(tree: Tree) -> None:
    # RUN-090
    once = f"{sys.executable} -m initfs.main svc -o ."
    tree.add("fw", f"{once}; echo run >$EAR; read -r line <../../never; echo ran >$EAR")
    tree.start()
    assert tree.ear.line() == "run"
    tree.settle()
    assert not tree.status("fw").wanted, "once"
    tree.send("fw", "u")  # while it runs: what it read before is out of date
    tree.settle()
    with (tree.base / "never").open("w") as never:
        never.write("go\n")
    assert [tree.ear.line(), tree.ear.line()] == ["ran", "run"]
    tree.settle()
    with (tree.base / "never").open("w") as never:
        never.write("go\n")
    assert tree.ear.line() == "ran"
    tree.wait_for("finished", "fw")
    tree.wait_for("finished", "fw")
    tree.settle()
    assert tree.happened("fw").count("up") == 2
    assert tree.ear.lines() == []


# What cannot be started ----------------------------------------------------------------------------


def foreign() -> bytes:
    """A program for another machine: this machine's own, with another e_machine."""
    with open("/bin/sleep", "rb") as program:
        head = bytearray(program.read())
    head[18:20] = (243 if head[18] != 243 else 62).to_bytes(2, "little")
    return bytes(head)


def damaged() -> bytes:
    """A program whose table of headers is at the end of the world."""
    with open("/bin/sleep", "rb") as program:
        content = bytearray(program.read(4096))
    content[32:40] = b"\xf0" + b"\xff" * 7
    return bytes(content)


def loaderless() -> bytes:
    """A program whose loader is not there."""
    with open("/bin/sleep", "rb") as program:
        content = program.read()
    at = content.index(b"/ld")
    return content[:at] + b"/no" + content[at + 3 :]


EXEC_FAILURES = {
    "wrong-machine": (foreign, 0o755, "it is a program for"),
    "no-loader": (loaderless, 0o755, "its loader"),
    "damaged": (damaged, 0o755, "unable to run ./run"),
    "not-executable": (lambda: b"#!/bin/sh\n", 0o644, "it is not executable (chmod +x)"),
    "broken-shebang": (lambda: b"#!/nowhere/sh\n", 0o755, "its interpreter '/nowhere/sh' does not exist"),
    "carriage-return": (
        lambda: b"#!/bin/sh\r\necho\r\n",
        0o755,
        "its interpreter '/bin/sh\\r' does not exist",
    ),
    "empty": (lambda: b"", 0o755, "it is empty"),
    "text": (lambda: b"echo no shebang\n", 0o755, "it is neither a program nor a script"),
    "missing": (None, 0, "there is no such file"),
    "directory": (None, 0o755, "it is a directory"),
}


@pytest.mark.parametrize("kind", EXEC_FAILURES)
def test_what_cannot_be_run_is_explained_once_and_tried_again_when_asked(kind: str, tree: Tree) -> None:
    # SUP-031 (partly) SUP-037 (partly)
    content, mode, words = EXEC_FAILURES[kind]
    service = tree.add("a", None)
    if content is not None:
        (service / "run").write_bytes(content())
        (service / "run").chmod(mode)
    elif kind == "directory":
        (service / "run").mkdir()
    tree.start()
    failed = tree.wait_for("failed", "a")
    assert words in failed["reason"]
    assert failed["reason"].startswith("unable to run ./run: ")
    tree.send("a", "u")
    tree.send("a", "u")
    tree.settle()
    assert tree.happened("a").count("failed") == 1, "the same is said once"
    assert tree.said.count("unable to run") == 1
    assert tree.happened("a").count("up") == 0
    assert tree.status("a").wanted
    if kind == "directory":
        (service / "run").rmdir()
    make_service(service)
    tree.send("a", "u")
    tree.wait_for("up", "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_noexec_mount_is_named(tmp_path: Path) -> None:
    # SUP-031 (partly)
    inside = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,noexec {tmp_path} && exec "$@"'
    with Tree(tmp_path) as tree:
        tree.add("a")
        tree.start(prefix=("unshare", "-m", "sh", "-c", inside, "-"))
        assert "mounted noexec" in tree.wait_for("failed", "a")["reason"]


def test_the_status_tells_why_it_could_not_be_started(tree: Tree) -> None:
    service = tree.add("a", None)
    (service / "run").write_text("#!/nowhere/sh\n")
    (service / "run").chmod(0o755)
    tree.start()
    tree.wait_for("failed", "a")
    tree.settle()
    assert "/nowhere/sh" in tree.ours("svstat", "a").stdout


def test_the_log_of_the_service_tells_why_it_could_not_be_started(tree: Tree) -> None:
    service = tree.add("a", None)
    (service / "run").write_text("#!/nowhere/sh\n")
    (service / "run").chmod(0o755)
    tree.add("a/log", 'while read -r line; do echo "$line" >$EAR; done')
    tree.start()
    tree.wait_for("failed", "a")
    assert "/nowhere/sh" in tree.ear.line()


def test_a_run_that_somebody_still_writes_is_waited_for(tree: Tree) -> None:
    # SUP-005 (partly)
    service = tree.add("a", None)
    shutil.copy("/bin/sleep", service / "run")
    with (service / "run").open("r+b"):
        tree.start()
        assert "busy" in tree.wait_for("failed", "a")["reason"]
    tree.wait_for("up", "a", patience=2.0)


def test_a_finish_that_cannot_be_run_counts_as_none_and_is_said(tree: Tree) -> None:
    # SUP-039 (partly)
    service = tree.add("a", "exit 1", finish="true")
    (service / "finish").chmod(0o644)
    tree.start()
    tree.wait_for("finished", "a")
    tree.wait_said("unable to run ./finish: it is not executable")
    tree.wait_for("up", "a")


def test_the_same_descriptor_for_notification_and_lock_is_refused_without_a_loop(tree: Tree) -> None:
    # SUP-047
    tree.add("a", notification_fd="3\n", lock_fd="3\n")
    tree.start()
    failed = tree.wait_for("failed", "a")
    assert "the same" in failed["reason"]
    with pytest.raises(Late):
        tree.wait_for("failed", "a", patience=1.2)
    assert tree.status("a").pid == 0
    assert tree.stop() == 0


def test_memory_of_the_tree_for_50_services_is_bounded(tree: Tree) -> None:
    # SUP-078
    for number in range(50):
        tree.add(f"s{number}")
    tree.start()
    tree.wait_for("tree")
    tree.settle()
    with open(f"/proc/{tree.pid}/smaps_rollup") as file:
        rollup = file.read().splitlines()
    pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert pss < 10 * 1024, f"{pss} kB for 50 services"


def test_killing_the_group_reaches_the_grandchildren(tree: Tree) -> None:
    # SUP-055 (partly)
    tree.add("a", "sleep 999 & echo $! >$EAR; wait")
    tree.start()
    child = int(tree.ear.line())
    tree.send("a", "K")
    assert tree.wait_for("down", "a")["reason"] == "signal KILL"
    wait_dead(child)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_but_our_children_is_ever_signalled(tree: Tree) -> None:
    # SUP-055 (partly)
    tree.add("a", LISTENER, finish="exit 0")
    tree.start()
    assert tree.ear.line() == "up"
    pids = {tree.wait_for("up", "a")["pid"]}
    trace = tree.base / "trace"
    tracer = subprocess.Popen(
        ["strace", "-p", str(tree.pid), "-e", "kill,tkill,tgkill", "-o", trace],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    tree.send("a", "abqhti12pcyrlPC")
    tree.send("a", "d")
    tree.send("a", "k")
    tree.wait_for("finished", "a")
    tree.send("a", "abqhkti12ypcPCKrl")
    tree.send("a", "u")
    pids.add(tree.wait_for("up", "a")["pid"])
    tree.send("a", "K")
    tree.wait_for("down", "a")
    assert tree.stop() == 0
    tracer.wait(10)
    tracer.stderr.close()
    sent = [line for line in trace.read_text().splitlines() if line.startswith(("kill", "tkill", "tgkill"))]
    assert {abs(int(line.partition("(")[2].partition(",")[0])) for line in sent} <= pids | {
        event["pid"] for event in tree.events if event["event"] == "up"
    }
    assert len(sent) >= 17


@pytest.mark.skipif(shutil.which("s6-svc") is None, reason="s6-svc is not installed (Debian package s6)")
def test_the_first_thing_that_run_does_can_be_a_command_to_itself(tree: Tree) -> None:
    # RUN-090
    for number in range(50):
        tree.add(f"s{number}", 's6-svc -o . 2>/dev/null; echo "$?" >"$EAR"; exec sleep 999')
    tree.start()
    assert {tree.ear.line() for _ in range(50)} == {"0"}
