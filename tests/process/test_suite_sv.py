"""Our sv: on our tree, and on a real runsv, with the same words and codes."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time

import pytest

from initfs.supervise import client
from initfs.supervise import tree as supervise
from initfs.supervise.pipes import Stdio
from initfs.supervise.unit import Unit
from tests.process.notify_world import ENVIRONMENT, PATIENCE, end, ours, real, run, start
from tests.process.small_tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    import subprocess
    from collections.abc import Iterator

SLEEP = "exec sleep 999"
# It says that it can be told, so that no signal comes before its trap.
STUBBORN = "trap '' TERM; echo >&3; while :; do sleep 999; done"


class Runsv(Tree):
    """The same services, each below a real runsv."""

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__(directory)
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self, *_options: str, env: dict[str, str] | None = None) -> None:  # noqa: ARG002
        for service in sorted(self.directory.iterdir()):
            self.processes.append(start([real("runsv"), str(service)], stdout=None, stderr=None))
            deadline = time.monotonic() + PATIENCE
            while not client.supervised(str(service)):  # a real runsv announces nothing
                assert time.monotonic() < deadline
                select.select([], [], [], 0.005)

    def end(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            end(process)


@pytest.fixture(params=[Tree, Runsv])
def tree(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Tree]:
    found: Tree = request.param(tmp_path / "scan")
    yield found
    found.end()


def sv(tree: Tree, *arguments: object, **more: str) -> tuple[int, str]:
    """Exit code and output of our sv, whose services are in the tree."""
    code, out, err = run(ours("sv", *arguments), env={**ENVIRONMENT, "SVDIR": str(tree.directory), **more})
    return code, out.strip() + err.strip()


def pid(tree: Tree, name: str) -> int:
    return client.read_status(str(tree.directory / name)).pid


def alive(number: int) -> bool:
    return os.path.exists(f"/proc/{number}")


def test_sv_shows_and_moves_services(tree: Tree) -> None:
    # RUN-082
    tree.add("a", SLEEP)
    tree.add("a/log", "exec cat")
    tree.add("b", SLEEP, down="")
    tree.begin()
    assert sv(tree, "start", "a", "a/log/")[0] in (0, 1)  # a name with a slash at its end is a path
    code, out = sv(tree, "status", "a", "b", "nosuch")
    assert code == 1
    one, two, three = out.splitlines()
    log = client.read_status(str(tree.directory / "a/log")).pid
    assert one.startswith(f"run: a: (pid {pid(tree, 'a')}) ")
    assert f"; run: log: (pid {log}) " in one
    assert two.startswith("down: b: ")
    assert three.startswith("fail: nosuch: unable to change to service directory")
    for command, expected in (
        ("up", "ok: run: b: (pid "),
        ("pause", "paused"),
        ("cont", "ok: run: b: (pid "),
        ("down", "ok: down: b: "),
        ("once", "want down"),
        ("hup", "ok: "),
    ):
        code, out = sv(tree, "-v", command, "b")
        assert (code, expected in out) == (0, True), out
    before = pid(tree, "a")
    code, out = sv(tree, "-w9", "term", "a")
    assert (code, out.startswith("ok: run: a: (pid ")) == (0, True)
    assert pid(tree, "a") != before
    assert sv(tree, "down", "a") == (0, "")  # without -v it neither waits nor says anything
    assert sv(tree, "-v", "down", tree.directory / "a")[1].startswith(f"ok: down: {tree.directory}/a: ")


def test_sv_knows_the_words_of_init_scripts(tree: Tree) -> None:
    # RUN-083 (partly)
    tree.add("a", SLEEP)
    tree.begin()
    assert sv(tree, "start", "a")[1].startswith("ok: run: a: ")
    first = pid(tree, "a")
    assert sv(tree, "reload", "a")[1].startswith("ok: ")
    for word in ("restart", "try-restart", "force-reload", "force-restart"):
        code, out = sv(tree, word, "a")
        assert (code, out.startswith("ok: run: a: (pid ")) == (0, True), out
        assert pid(tree, "a") != first
        first = pid(tree, "a")
    assert sv(tree, "check", "a")[1].startswith("ok: run: a: ")
    assert sv(tree, "stop", "a")[1].startswith("ok: down: a: ")
    assert sv(tree, "check", "a")[1].startswith("ok: down: a: ")
    assert sv(tree, "try-restart", "a")[1].startswith("ok: down: a: ")
    assert sv(tree, "force-stop", "a")[1].startswith("ok: down: a: ")


def test_what_does_not_stop_in_time_is_told_apart_and_killed_on_demand(tree: Tree) -> None:
    # RUN-083
    service = tree.add("s", STUBBORN.replace(">&3", "> ready"))
    os.mkfifo(service / "ready")
    tree.begin()
    (service / "ready").read_text()
    code, out = sv(tree, "-w1", "stop", "s")
    assert (code, out.startswith("timeout: run: s: (pid ")) == (1, True)
    assert out.endswith(", want down, got TERM")
    victim = pid(tree, "s")
    assert sv(tree, "stop", "s", SVWAIT="0")[1].startswith("timeout: ")
    code, out = sv(tree, "-w1", "force-stop", "s")
    assert (code, out.startswith("kill: run: s: (pid ")) == (1, True)
    assert not alive(victim)
    assert sv(tree, "status", "s")[1].startswith("down: s: ")


def test_a_service_is_available_when_its_check_says_so(tree: Tree) -> None:
    # RUN-084
    service = tree.add("a", SLEEP)
    (service / "check").write_text("#!/bin/sh\necho noise; test -e good\n")
    (service / "check").chmod(0o755)
    tree.begin()
    for word in ("start", "check", "restart"):
        code, out = sv(tree, "-w1", word, "a")
        assert (code, out.startswith("timeout: run: a: (pid ")) == (1, True), out
    waiting = start(ours("sv", "-w9", "start", service))
    (service / "good").touch()
    code, said, _ = end(waiting)
    assert (code, said.startswith("ok: run: ")) == (0, True)
    (service / "check").write_text("#!/bin/sh\nexec sleep 999\n")
    assert sv(tree, "-w1", "check", "a")[0] == 1


def test_sv_ends_supervision(tree: Tree) -> None:
    # RUN-083 (partly)
    tree.add("a", SLEEP)
    tree.begin()
    before = pid(tree, "a")
    assert sv(tree, "shutdown", "a") == (0, "ok: a: runsv not running")
    assert not alive(before)
    if isinstance(tree, Runsv):  # our tree supervises anew what is still in its scan directory
        assert sv(tree, "status", "a") == (1, "fail: a: runsv not running")
        assert sv(tree, "-v", "exit", "a") == (0, "ok: a: runsv not running")
        assert sv(tree, "stop", "a") == (1, "fail: a: runsv not running")


def test_sv_counts_what_failed(tree: Tree) -> None:
    # RUN-085 (partly)
    tree.add("a", SLEEP)
    tree.begin()
    assert sv(tree, "d", "a", "nosuch")[0] == 1
    assert sv(tree, "d", "nosuch", "a", "other")[0] == 2
    assert sv(tree, "status", *["nosuch"] * 120)[0] == 99
    for wrong in ((), ("up",), ("-w", "x", "up", "a"), ("y", "a"), ("-z", "up", "a"), ("", "a")):
        assert sv(tree, *wrong)[0] == 100


def lsb(tree: Tree, name: str, *arguments: str) -> int:
    """The exit code of sv when it is called by the name of a service, as a link in init.d."""
    code = "import sys; from initfs.supervise.runit import sv; sys.exit(sv.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, f"/etc/init.d/{name}", *arguments]
    return run(command, env={**ENVIRONMENT, "SVDIR": str(tree.directory)})[0]


def test_sv_as_an_init_script_has_the_codes_of_the_lsb(tree: Tree) -> None:
    # RUN-085
    tree.add("a", SLEEP)
    tree.begin()
    (tree.directory / "c").mkdir()
    assert lsb(tree, "a", "start") == 0
    assert lsb(tree, "a", "status") == 0
    assert lsb(tree, "a", "stop") == 0
    assert lsb(tree, "a", "status") == 3
    assert lsb(tree, "c", "status") == 4
    assert lsb(tree, "c", "start") == 1
    for wrong in ((), ("y",), ("-z", "status"), ("-w", "x", "status")):
        assert lsb(tree, "a", *wrong) == 2


def test_a_link_in_init_d_leads_to_sv(tmp_path: pathlib.Path) -> None:
    # RUN-085 (partly)
    program = tmp_path / "sv"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom initfs.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    (tmp_path / "web").symlink_to("sv")
    (tmp_path / "service/web").mkdir(parents=True)
    assert (
        run([str(tmp_path / "web"), "status"], env={**ENVIRONMENT, "SVDIR": str(tmp_path / "service")})[0]
        == 4
    )


def test_svc_and_svok_find_a_service_by_its_name(tree: Tree) -> None:
    # RUN-086
    service = tree.add("a", SLEEP)
    tree.add("b", SLEEP, down="")
    tree.begin()
    env = {**ENVIRONMENT, "SVDIR": str(tree.directory)}
    before = pid(tree, "a")
    assert run(ours("svok", "a"), env=env, cwd="/") == (0, "", "")
    assert run(ours("svok", service), env=env, cwd="/") == (0, "", "")
    assert run(ours("svok", "scan/a"), env=env, cwd=tree.directory.parent) == (0, "", "")
    assert run(ours("svc", "-p", "a"), env=env, cwd="/") == (0, "", "")
    assert run(ours("svc", "-ct", "a"), env=env, cwd="/") == (0, "", "")
    assert sv(tree, "-v", "up", "b", "a")[0] == 0
    for letter in "chait12":
        assert run(ours("svc", f"-{letter}", "b"), env=env, cwd="/") == (0, "", "")
    assert run(ours("svc", "-dx", "a", "b"), env=env, cwd="/") == (0, "", "")
    assert not alive(before)
    (tree.directory / "n").mkdir()
    assert run(ours("svok", "n"), env=env, cwd="/")[0] == 100
    assert run(ours("svok", tree.directory / "n"), env=env, cwd="/")[0] == 1
    assert run(ours("svok", "nosuch"), env=env, cwd="/")[0] == 111
    assert run(ours("svc", "-d", "n"), env=env, cwd="/")[0] == 102


def test_sv_says_what_the_real_one_says(tmp_path: pathlib.Path) -> None:
    # RUN-082 (partly) RUN-083 (partly)
    def steady(text: str) -> str:
        return re.sub(r"\d+", "N", text).replace("file does not exist", "No such file or directory")

    tree = Runsv(tmp_path / "scan")
    tree.add("a", SLEEP)
    tree.add("b", SLEEP, down="")
    tree.begin()
    tree.add("c", SLEEP)
    env = {**ENVIRONMENT, "SVDIR": str(tree.directory)}
    lines = [
        "status",
        "-v up",
        "start",
        "pause",
        "status",
        "cont",
        "check",
        "stop",
        "status",
        "reload",
        "force-stop",
        "down",
        "start",
        "-v exit",
    ]
    try:
        for words in lines:  # the real one tells who is ready first
            mine = sv(tree, *words.split(), "b", "c")
            code, out, _ = run([real("sv"), *words.split(), "b", "c"], env=env)
            assert (code, sorted(steady(out).splitlines())) == (
                mine[0],
                sorted(steady(mine[1]).splitlines()),
            ), words
    finally:
        tree.end()


def test_what_listens_has_a_status(tmp_path: pathlib.Path) -> None:
    service = Tree(tmp_path).add("a", SLEEP, down="")
    tree = supervise.Tree()
    fd = os.open(service, os.O_RDONLY)
    unit = Unit(tree, "a", fd, Stdio())
    try:
        tree.adopt(unit)
        assert not client.supervised(str(service))  # nobody is told to ask before there is an answer
        tree.turn()
        assert client.supervised(str(service))
        client.read_status(str(service))
    finally:
        unit.close()
        tree.loop.close()
