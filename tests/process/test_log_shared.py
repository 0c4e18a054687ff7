"""One logger process for many services: the same directories and guarantees, and each service's trouble is its own."""

from __future__ import annotations

import os
import signal

import pytest

from tests.process.log_world import archives, content, until
from tests.process.tree import Tree, ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 20_000


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Tree(tmp_path) as tree:
        command = " ".join(ours("svlog-shared", "-d3", "-D", tmp_path / "log", "../.svscan/logs"))
        tree.add("svscan-logger", f"exec {command}", notification_fd="3\n")
        yield tree


def test_many_services_are_logged_by_two_processes_in_all(tree: Tree) -> None:
    services = [f"s{number:02}" for number in range(30)]
    for name in services:
        tree.add(name, f"seq 1 2000; echo {name} done; exec sleep 999", log="s8192 n100\n")
    tree.start()
    logger = tree.wait_for("ready", "svscan-logger")["pid"]
    for name in services:
        until(lambda: content(tree.base / "log" / name).endswith(f"{name} done\n".encode()), name)  # noqa: B023
    expected = b"".join(b"%d\n" % number for number in range(1, 2001))
    for name in services:
        assert content(tree.base / "log" / name) == expected + f"{name} done\n".encode()
        assert archives(tree.base / "log" / name)
    assert tree.status("svscan-logger").pid == logger
    assert tree.stop() == 0
    assert all((tree.base / "log" / name / "current").stat().st_mode & 0o100 for name in services)


def test_an_empty_file_log_is_no_logging_and_a_script_may_name_its_directory(tree: Tree) -> None:
    # VAR-239 (partly)
    tree.add("quiet", "echo quiet line; echo told >$EAR; exec sleep 999", log="")
    tree.add("own", "echo own line; exec sleep 999", log=f"# a comment\nt p'my own:' {tree.base}/elsewhere\n")
    tree.start()
    assert tree.ear.line() == "told"
    tree.wait_said("quiet line")
    until(lambda: content(tree.base / "elsewhere").endswith(b" my own: own line\n"))
    assert not (tree.base / "log/quiet").exists()
    assert tree.stop() == 0


def test_a_killed_shared_logger_loses_no_line_of_any_service(tree: Tree) -> None:
    for name in ("a", "b", "c"):
        tree.add(name, f"seq 1 {COUNT}; echo end; exec sleep 999", log="n1000 s16384\n")
    tree.start()
    for _ in range(4):
        pid = tree.wait_for("ready", "svscan-logger")["pid"]
        os.kill(pid, signal.SIGKILL)
        tree.wait_for("down", "svscan-logger")
    tree.wait_for("ready", "svscan-logger")
    expected = b"".join(b"%d\n" % number for number in range(1, COUNT + 1)) + b"end\n"
    for name in ("a", "b", "c"):
        until(lambda: content(tree.base / "log" / name).endswith(b"end\n"), name)  # noqa: B023
        assert content(tree.base / "log" / name) == expected
    assert tree.stop() == 0


def test_a_bad_script_is_the_trouble_of_its_service_alone(tree: Tree) -> None:
    tree.add("good", "echo good; exec sleep 999", log="t\n")
    tree.add("bad", "echo bad; exec sleep 999", log="q\n")
    (tree.base / "file").touch()
    tree.add("lost", "echo lost; exec sleep 999", log=f"{tree.base}/file\n")
    tree.start()
    tree.wait_said("bad: unable to understand the script: q: no such directive; logging as by default")
    tree.wait_said("lost: unable to use the log directory")
    until(lambda: content(tree.base / "log/good").endswith(b" good\n"))
    until(lambda: content(tree.base / "log/bad").endswith(b" bad\n"))
    until(lambda: content(tree.base / "log/lost").endswith(b" lost\n"))
    assert tree.stop() == 0


def test_a_service_that_comes_changes_and_goes_is_followed(tree: Tree) -> None:
    tree.start()
    tree.wait_for("ready", "svscan-logger")
    service = tree.add(
        "late",
        'read -r a <../../go; echo "$a"; read -r a <../../again; echo "$a"; exec sleep 999',
        log="p1\n",
    )
    for name in ("go", "again"):
        os.mkfifo(tree.base / name)
    tree.control("a")
    tree.wait_for("up", "late")
    (tree.base / "go").write_text("one\n")
    until(lambda: content(tree.base / "log/late") == b"1 one\n")
    (service / "log").write_text("p2\n")
    tree.control("a")
    tree.settle()
    (tree.base / "again").write_text("two\n")
    until(lambda: content(tree.base / "log/late") == b"1 one\n2 two\n")
    service.rename(tree.base / "gone")
    tree.control("an")
    tree.wait_for("released", "late")
    until(lambda: (tree.base / "log/late/current").stat().st_mode & 0o100)
    assert tree.stop() == 0


def test_a_service_says_its_last_line_when_the_tree_ends(tree: Tree) -> None:
    (tree.base / "last.py").write_text(
        "import os,signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
        "open(os.environ['EAR'], 'w').write('up\\n')\nsignal.sigwait([15])\n"
        "for number in range(1, 20001): print(number)\n"
    )
    tree.add("a", "exec python3 -I -S ../../last.py", log="n1000\n")
    tree.start()
    assert tree.ear.line() == "up"
    assert tree.stop() == 0
    assert content(tree.base / "log/a") == b"".join(b"%d\n" % number for number in range(1, 20_001))


def test_a_logger_that_comes_when_the_tree_ends_already_reads_all_of_it(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        command = " ".join(ours("svlog-shared", "-d3", "-D", tmp_path / "log", "../.svscan/logs"))
        os.mkfifo(tmp_path / "go")
        tree.add("svscan-logger", f"read -r line <{tmp_path}/go; exec {command}", notification_fd="3\n")
        tree.add(
            "a", "trap '' TERM; echo up >$EAR; exec seq 1 60000", log="n1000\n"
        )  # more than a pipe holds
        tree.start()
        assert tree.ear.line() == "up"
        tree.wait_for("up", "a")
        tree.control("t")
        until(lambda: not tree.status("a").wanted)
        (tmp_path / "go").write_text("go\n")
        assert tree.wait_end() == 0
        assert content(tmp_path / "log/a") == b"".join(b"%d\n" % number for number in range(1, 60_001))


def test_all_logs_in_memory_share_one_room(tmp_path: Path) -> None:
    room = 400_000
    with Tree(tmp_path) as tree:
        words = ours("svlog-shared", "-d3", "-D", tmp_path / "log", "-b", room, "../.svscan/logs")
        tree.add("svscan-logger", f"exec {' '.join(words)}", notification_fd="3\n")
        names = [f"s{number}" for number in range(5)]
        for name in names:
            tree.add(
                name, "echo here; read -r line <../go; seq 1 60000; echo end; exec sleep 999", log="n1000\n"
            )
        os.mkfifo(tree.scandir / "go")
        tree.start()
        for name in names:
            until(lambda: content(tmp_path / "log" / name) == b"here\n", name)  # noqa: B023
        (tree.scandir / "go").write_text("go\n" * len(names))
        for name in names:
            until(lambda: content(tmp_path / "log" / name).endswith(b"end\n"), name)  # noqa: B023
        sizes = [len(content(tmp_path / "log" / name)) for name in names]
        assert sum(sizes) <= room
        assert min(sizes) > room // len(names) // 3
        assert tree.stop() == 0


def test_a_log_that_comes_later_makes_those_that_are_silent_smaller(tmp_path: Path) -> None:
    room = 400_000
    with Tree(tmp_path) as tree:
        words = ours("svlog-shared", "-d3", "-D", tmp_path / "log", "-b", room, "../.svscan/logs")
        tree.add("svscan-logger", f"exec {' '.join(words)}", notification_fd="3\n")
        first, second = ("early", "late")
        tree.add(first, "seq 1 60000; echo end; exec sleep 999", log="n1000\n")
        tree.start()
        until(lambda: content(tmp_path / "log" / first).endswith(b"end\n"), first)
        assert len(content(tmp_path / "log" / first)) > room // 2
        tree.add(second, "echo end; exec sleep 999", log="n1000\n")
        tree.control("a")
        until(lambda: content(tmp_path / "log" / second) == b"end\n", second)
        assert len(content(tmp_path / "log" / first)) <= room // 2
        assert content(tmp_path / "log" / first).endswith(b"60000\nend\n")
        assert tree.stop() == 0


def test_what_a_service_that_is_gone_has_said_waits_for_the_next_logger(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        words = ours("svlog-shared", "-d3", "-D", tmp_path / "log", "../.svscan/logs")
        logger = tree.add("svscan-logger", f"exec {' '.join(words)}", notification_fd="3\n", down="")
        service = tree.add("a", "echo said; echo up >$EAR; exec sleep 999", log="n10\n")
        tree.start()
        assert tree.ear.line() == "up"
        service.rename(tmp_path / "gone")
        tree.control("an")
        tree.wait_for("released", "a")
        assert not (tmp_path / "log/a").exists()
        assert tree.ours("svc", "-u", logger).returncode == 0
        until(lambda: content(tmp_path / "log/a") == b"said\n")
        assert tree.stop() == 0
