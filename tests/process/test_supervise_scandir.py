"""What a scan directory means: which entries are services, when they come, and when they go."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.process.tree import ROOT, SLEEP, Tree, alive, make_service, ours, wait_dead, wait_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        yield tree


def svscan(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ours("svscan", *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_every_directory_and_link_to_one_is_supervised_and_kept_alive(tree: Tree) -> None:
    # SUP-001 SUP-031
    tree.add("direct")
    make_service(tree.base / "elsewhere")
    (tree.scandir / "linked").symlink_to(tree.base / "elsewhere")
    (tree.scandir / "a-file").write_text("not a service")
    tree.start()
    first = tree.wait_for("up", "direct")["pid"]
    tree.wait_for("up", "linked")
    tree.wait_for("tree")
    assert tree.happened("a-file") == []
    os.kill(first, signal.SIGKILL)
    assert tree.wait_for("down", "direct")["reason"] == "signal KILL"
    second = tree.wait_for("up", "direct")["pid"]
    assert alive(second)
    assert second != first


def test_a_second_svscan_of_the_same_directory_is_refused(tree: Tree) -> None:
    # SUP-002
    tree.start()
    second = svscan(tree.scandir)
    assert second.returncode == 100
    assert "another svscan" in second.stderr
    assert tree.stop() == 0


def test_readiness_is_one_newline_and_services_inherit_no_descriptor(tree: Tree) -> None:
    # SUP-003
    listing = "import os; found = sorted(os.listdir('/proc/self/fd')); print(found, file=open(os.environ['EAR'], 'w'))"
    tree.add("a", f'exec python3 -I -S -c "{listing}"')
    tree.start()  # which reads one newline, and then the end
    assert tree.ear.line() == "['0', '1', '2', '3']", "3 is the listing itself"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 100),
        (["a", "b"], 100),
        (["-q", "a"], 100),
        (["-d", "1", "a"], 100),
        (["-d", "99", "a"], 100),
        (["-X", "2", "a"], 100),
        (["-C", "many", "a"], 100),
        (["-t", "-5", "a"], 100),
        (["nowhere"], 111),
    ],
)
def test_a_wrong_command_line_is_100_and_a_missing_directory_111(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    # SUP-004 (partly) QUA-241 (partly)
    found = svscan(*arguments, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (code, "")
    assert found.stderr.startswith("svscan: fatal: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("what", [".svscan", ".svscan/control"])
def test_a_file_in_the_place_of_our_directory_or_fifo_is_refused_with_100(what: str, tmp_path: Path) -> None:
    # SUP-002 (partly) QUA-241 (partly)
    (tmp_path / what).parent.mkdir(exist_ok=True)
    (tmp_path / what).write_text("somebody's")
    assert svscan(tmp_path).returncode == 100
    assert (tmp_path / what).read_text() == "somebody's"


def test_our_own_files_have_the_modes_of_the_specification(tree: Tree) -> None:
    # SUP-002 (partly)
    tree.start()
    private = tree.scandir / ".svscan"
    modes = {name: (private / name).stat().st_mode & 0o7777 for name in ("lock", "control", "events")}
    assert private.stat().st_mode & 0o7777 == 0o700
    assert modes == {"lock": 0o600, "control": 0o600, "events": 0o600}


def test_more_services_than_the_limit_are_refused_with_one_message(tmp_path: Path) -> None:
    # SUP-004
    with Tree(tmp_path, "-C", "4") as tree:
        for name in "abcde":
            tree.add(name)
        tree.start()
        tree.wait_for("tree")
        assert [name for name in "abcde" if "up" in tree.happened(name)] == list("abcd")
        assert tree.said.count("too many services: 1 not supervised, e the first") == 1


def test_loggers_count_against_the_limit(tmp_path: Path) -> None:
    with Tree(tmp_path, "-C", "4") as tree:
        for name in "abcd":
            tree.add(name)
            tree.add(f"{name}/log", "exec cat >/dev/null")
        tree.start()
        tree.wait_for("tree")
        assert sum(event["event"] == "supervised" for event in tree.events) <= 4


def test_the_limit_is_never_below_4_and_the_longest_name_never_below_11(tmp_path: Path) -> None:
    # SUP-004
    with Tree(tmp_path, "-C", "1", "-L", "2") as tree:
        for name in ("abc", "b", "c", "d", "twelve-bytes"):
            tree.add(name)
        tree.start()
        tree.wait_for("tree")
        assert [name for name in ("abc", "b", "c", "d") if "up" in tree.happened(name)] == [
            "abc",
            "b",
            "c",
            "d",
        ]
        assert tree.happened("twelve-bytes") == []
        assert tree.said.count("too long") == 1


def test_a_periodic_rescan_finds_what_nobody_announced(tmp_path: Path) -> None:
    # SUP-004
    with Tree(tmp_path, "-t", "100") as tree:
        tree.start()
        tree.wait_for("tree")
        tree.add("late")
        tree.wait_for("up", "late")


def test_an_empty_directory_is_populated_later(tree: Tree) -> None:
    # SUP-005 SUP-016 (partly)
    tree.start()
    tree.wait_for("tree")
    make_service(tree.base / "x")
    (tree.scandir / "x").symlink_to(tree.base / "x")
    assert tree.ours("svscanctl", "-a", tree.scandir).returncode == 0
    tree.wait_for("up", "x")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_idle_tree_makes_no_system_call(tree: Tree) -> None:
    # SUP-006
    for name in ("a", "b"):
        tree.add(name)
        tree.add(f"{name}/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "b/log")
    tree.settle()
    tracer = subprocess.Popen(
        ["strace", "-p", str(tree.pid), "-o", tree.base / "trace"], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        tracer.wait(5)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    tracer.stderr.close()
    calls = [line for line in (tree.base / "trace").read_text().splitlines() if "(" in line]
    assert len(calls) <= 1, calls  # the wait that it is in


def test_a_renamed_entry_keeps_its_process_and_gets_its_new_name(tree: Tree) -> None:
    # SUP-007
    tree.add("a", 'echo "$1" >"$EAR"; exec sleep 999')
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    assert tree.ear.line() == "a"
    (tree.scandir / "a").rename(tree.scandir / "b")
    tree.control("a")
    tree.settle()
    assert tree.status("b").pid == pid
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("up", "b")
    assert tree.ear.line() == "b"


def test_two_links_to_one_directory_are_one_service(tree: Tree) -> None:
    # SUP-007
    make_service(tree.base / "one")
    for name in ("first", "second"):
        (tree.scandir / name).symlink_to(tree.base / "one")
    tree.start()
    tree.wait_for("tree")
    assert sum(event["event"] == "up" for event in tree.events) == 1


def test_another_directory_under_an_old_name_is_another_service(tree: Tree) -> None:
    # SUP-007 SUP-009
    make_service(tree.base / "old")
    make_service(tree.base / "new")
    link = tree.scandir / "a"
    link.symlink_to(tree.base / "old")
    tree.start()
    old = tree.wait_for("up", "a")["pid"]
    link.unlink()
    link.symlink_to(tree.base / "new")
    tree.control("a")
    new = tree.wait_for("up", "a")["pid"]
    assert new != old
    assert alive(old), "nothing is killed because its entry went away"
    tree.control("n")
    wait_dead(old)
    assert alive(new)


def test_dot_entries_are_skipped_silently_and_long_names_with_a_warning(tree: Tree) -> None:
    # SUP-008
    tree.add(".hidden")
    tree.add("n" * 251)
    tree.add("n" * 252)
    tree.start()
    tree.wait_for("tree")
    assert tree.happened(".hidden") == tree.happened("n" * 252) == []
    assert "up" in tree.happened("n" * 251)
    assert tree.said.count("too long") == 1
    assert "hidden" not in tree.said


def test_what_vanished_lives_on_but_is_not_restarted(tree: Tree) -> None:
    # SUP-009
    make_service(tree.base / "a")
    (tree.scandir / "a").symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    (tree.scandir / "a").unlink()
    tree.control("a")
    tree.settle()
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("released", "a")
    assert tree.happened("a").count("up") == 1


def test_what_returns_while_it_lives_is_kept_alive_again(tree: Tree) -> None:
    # SUP-009
    make_service(tree.base / "a")
    link = tree.scandir / "a"
    link.symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    link.unlink()
    tree.control("a")
    tree.settle()
    link.symlink_to(tree.base / "a")
    tree.control("a")
    tree.settle()
    assert tree.status("a").pid == pid
    os.kill(pid, signal.SIGKILL)
    tree.wait_for("up", "a")


@pytest.mark.parametrize("letters", ["an", "aN", "h"])
def test_prune_ends_what_has_no_entry_any_more_and_nothing_else(letters: str, tree: Tree) -> None:
    # SUP-010 SUP-016 (partly)
    for name in ("a", "b"):
        make_service(tree.base / name)
        make_service(tree.base / name / "log", "exec cat >/dev/null")
        (tree.scandir / name).symlink_to(tree.base / name)
    tree.start()
    gone = [tree.wait_for("up", name)["pid"] for name in ("a", "a/log")]
    kept = [tree.wait_for("up", name)["pid"] for name in ("b", "b/log")]
    (tree.scandir / "a").unlink()
    assert tree.ours("svscanctl", f"-{letters}", tree.scandir).returncode == 0
    tree.wait_for("released", "a")
    tree.wait_for("released", "a/log")
    assert [alive(pid) for pid in gone + kept] == [False, False, True, True]


def test_a_prune_alone_does_not_look_at_the_directory(tree: Tree) -> None:
    # SUP-010
    make_service(tree.base / "a")
    (tree.scandir / "a").symlink_to(tree.base / "a")
    tree.start()
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    (tree.scandir / "a").unlink()
    tree.control("n")
    tree.settle()  # this scans: from here on it is inactive
    assert alive(pid)


def test_dangling_links_are_removed_at_the_start_and_only_then(tree: Tree) -> None:
    # SUP-011
    early, late, hidden = tree.scandir / "early", tree.scandir / "late", tree.scandir / ".hidden"
    early.symlink_to("nowhere")
    hidden.symlink_to("nowhere")
    tree.start()
    tree.wait_for("tree")
    assert not early.is_symlink()
    assert hidden.is_symlink()
    late.symlink_to("nowhere")
    tree.control("a")
    tree.settle()
    assert late.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_link_that_leads_where_we_may_not_look_is_not_removed(tmp_path: Path) -> None:
    scandir = tmp_path / "scan"
    make_service(tmp_path / "secret/service")
    scandir.mkdir()
    (scandir / "a").symlink_to(tmp_path / "secret/service")
    for path in [scandir, *tmp_path.parents[:3], tmp_path]:
        path.chmod(path.stat().st_mode | 0o5)
    os.chown(scandir, 65534, 65534)
    (tmp_path / "secret").chmod(0)
    command = ours("svscan", scandir)
    allowed = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x", sys.executable]
    if subprocess.run(allowed, check=False).returncode:
        pytest.skip("nobody may not run this Python")
    program = subprocess.Popen(
        command, user=65534, group=65534, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    try:
        wait_exists(scandir / ".svscan/events")
        assert program.stderr is not None
        program.stderr.readline()  # about the entry, whatever is said
    finally:
        program.terminate()
        program.communicate(timeout=20)
    assert (scandir / "a").is_symlink()


def test_there_is_no_third_level_of_loggers(tree: Tree) -> None:
    # SUP-015
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.add("a/log/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a/log")
    tree.wait_for("tree")
    assert {event["service"] for event in tree.events} == {"", "a", "a/log"}
    assert not (tree.scandir / "a/log/log/supervise").exists()


def test_one_bad_entry_is_said_and_the_others_start(tree: Tree) -> None:
    # SUP-001 (partly)
    tree.add("bad")
    (tree.scandir / "bad/supervise").write_text("somebody's")
    tree.add("good")
    tree.start()
    tree.wait_for("up", "good")
    tree.wait_said("unable to supervise bad: Not a directory; trying again in 10 seconds")


def test_a_service_that_somebody_else_supervises_is_left_to_him(tree: Tree) -> None:
    # SUP-032 (partly)
    with Tree(tree.base / "other") as other:
        service = other.add("a")
        other.start()
        pid = other.wait_for("up", "a")["pid"]
        (tree.scandir / "a").symlink_to(service)
        tree.add("b")
        tree.start()
        tree.wait_for("up", "b")
        tree.wait_said("unable to supervise a: another supervisor does")
        assert alive(pid)
        assert tree.stop() == 0
        assert alive(pid)


def test_a_lost_log_directory_does_not_end_the_service(tree: Tree) -> None:
    # SUP-009 (partly)
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    service, logger = (tree.wait_for("up", name)["pid"] for name in ("a", "a/log"))
    (tree.scandir / "a/log").rename(tree.base / "aside")
    tree.control("a")
    tree.settle()
    assert alive(service)
    assert alive(logger), "nothing is killed because its entry went away"


def test_a_log_directory_that_returns_is_kept_alive_without_a_gap(tree: Tree) -> None:
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    logger = tree.wait_for("up", "a/log")["pid"]
    (tree.scandir / "a/log").rename(tree.base / "aside")
    tree.control("a")
    tree.settle()
    (tree.base / "aside").rename(tree.scandir / "a/log")
    tree.control("a")
    tree.settle()
    os.kill(logger, signal.SIGKILL)
    tree.wait_for("up", "a/log")
    assert "released" not in tree.happened("a/log")


def test_a_logger_that_comes_later_reads_from_the_next_life_on(tree: Tree) -> None:
    # SUP-014 (partly)
    tree.add("a", "echo a line; exec sleep 999")
    tree.start()
    first = tree.wait_for("up", "a")["pid"]
    tree.wait_said("a line")
    tree.add("a/log", 'while read -r line; do echo "logged $line" >"$EAR"; done')
    tree.control("a")
    tree.wait_for("up", "a/log")
    assert alive(first), "it keeps its old standard output"
    tree.send("a", "r")
    tree.wait_for("up", "a")
    assert tree.ear.line() == "logged a line"


# The watch ----------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path, "-w") as tree:
        yield tree.start()


def test_a_copied_service_starts_by_itself(watched: Tree) -> None:
    # SUP-005 (partly)
    make_service(watched.base / "template", SLEEP, data="x")
    watched.wait_for("tree")
    subprocess.run(["cp", "-r", watched.base / "template", watched.scandir / "copy"], check=True)
    watched.wait_for("up", "copy")


def test_a_half_copied_directory_is_waited_for_silently(watched: Tree) -> None:
    # SUP-005 (partly)
    watched.wait_for("tree")
    half = watched.scandir / "half"
    half.mkdir()
    make_service(half, None, notification_fd="3\n")
    watched.settle()
    assert watched.happened("half") == []
    assert not (half / "supervise").exists()
    make_service(half)
    watched.wait_for("up", "half")
    assert watched.said == ""


def test_a_directory_moved_into_place_starts_and_a_removed_one_is_left_alone(watched: Tree) -> None:
    # SUP-005 (partly) SUP-009
    watched.wait_for("tree")
    make_service(watched.scandir / ".a.new")
    (watched.scandir / ".a.new").rename(watched.scandir / "a")
    pid = watched.wait_for("up", "a")["pid"]
    (watched.scandir / "a").rename(watched.scandir / "b")
    os.kill(pid, signal.SIGKILL)
    pid = watched.wait_for("up", "b")["pid"] if "up" not in watched.happened("a")[2:] else 0
    assert pid
    (watched.scandir / "b").rename(watched.base / "aside")
    watched.settle()
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    watched.wait_for("released", "b")


def test_a_half_copied_directory_that_goes_away_is_forgotten(watched: Tree) -> None:
    # SUP-005 (partly)
    watched.wait_for("tree")
    for number in range(20):
        (watched.scandir / f"half{number}").mkdir()
    watched.settle()
    before = len(os.listdir(f"/proc/{watched.pid}/fd"))
    for number in range(20):
        (watched.scandir / f"half{number}").rmdir()
    watched.control("a")
    watched.settle()
    assert len(os.listdir(f"/proc/{watched.pid}/fd")) <= before - 20 + 5
    assert watched.said == ""


# Trouble ------------------------------------------------------------------------------------------


def test_a_scan_that_fails_is_tried_again_after_5_seconds(tree: Tree) -> None:
    # SUP-030
    tree.start()
    tree.wait_for("tree")
    tree.add("a")
    limits = resource.prlimit(tree.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(
        tree.pid, resource.RLIMIT_NOFILE, (3, limits[1])
    )  # reading a directory takes a descriptor
    try:
        tree.control("a")
        asked = time.monotonic()
        tree.wait_said("unable to read the scan directory: Too many open files; trying again in 5 seconds")
    finally:
        resource.prlimit(tree.pid, resource.RLIMIT_NOFILE, limits)
    tree.wait_for("up", "a")
    assert 4.5 < time.monotonic() - asked < 7


def test_a_loop_of_links_does_not_keep_others_from_starting(tree: Tree) -> None:
    tree.start()
    tree.wait_for("tree")
    (tree.scandir / "loop").symlink_to("loop")
    tree.add("a")
    tree.control("a")
    tree.wait_said("trying again")
    tree.wait_for("up", "a", patience=3.0)
