"""runit's and busybox's clients against our tree (Debian packages runit, busybox)."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.process.service import LISTENER, make_service
from tests.process.waiting import alive, needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.process.tree import Tree

    Done = subprocess.CompletedProcess[str]

SUITES = ("runit", "busybox")


def busybox(applet: str) -> str:
    """A busybox that has APPLET: Debian's, which has no sv, or the one that a build for this machine left in the cache."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "initfs/busybox"
    for path in (shutil.which("busybox"), *map(str, sorted(cache.glob("*/busybox")))):
        with contextlib.suppress(OSError):
            if (
                path
                and applet
                in subprocess.run([path, "--list"], capture_output=True, check=False).stdout.decode().split()
            ):
                return path
    pytest.skip(f"no busybox here has {applet}")


class Sv:
    """One of the two programs called sv."""

    def __init__(self, tree: Tree, suite: str) -> None:
        if suite == "runit":
            needs("sv")
        self.tree = tree
        self.command = ["sv"] if suite == "runit" else [busybox("sv"), "sv"]

    def __call__(self, *arguments: str, **environment: str) -> Done:
        env = {**self.tree.environment, "SVDIR": str(self.tree.scandir), **environment}
        return self.tree.client(*self.command, *arguments, env=env)


@pytest.fixture(params=SUITES)
def sv(request: pytest.FixtureRequest, tree: Tree) -> Sv:
    return Sv(tree, request.param)


def test_status_up_down_and_once(sv: Sv, tree: Tree) -> None:
    # RUN-082
    tree.add("a")
    tree.add("a/log", "exec cat >/dev/null")
    tree.start()
    tree.wait_for("up", "a")
    tree.wait_for("up", "a/log")
    tree.settle()
    pid, log = tree.status("a").pid, tree.status("a/log").pid
    found = sv("status", "a")
    assert re.fullmatch(rf"run: a: \(pid {pid}\) \ds; run: log: \(pid {log}\) \ds\n", found.stdout)
    assert sv("down", "a").returncode == 0
    tree.wait_for("finished", "a")
    tree.settle()
    found = sv("status", "a")
    assert found.returncode == 0
    assert re.match(r"down: a: \ds, normally up; run: log: ", found.stdout)
    assert sv("once", "a").returncode == 0
    pid = tree.wait_for("up", "a")["pid"]
    tree.settle()
    assert re.match(rf"run: a: \(pid {pid}\) \ds, want down; ", sv("status", "a").stdout)
    assert sv("up", "a").returncode == 0
    tree.settle()
    assert tree.status("a").wanted
    assert alive(pid)
    assert sv("exit", "a").returncode == 0
    tree.settle()


def test_pause_and_continue_are_seen(sv: Sv, tree: Tree) -> None:
    # RUN-082
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert sv("-w3", "pause", "a").returncode == 0
    tree.settle()  # neither sv waits for the effect of this one
    assert ", paused" in sv("status", "a").stdout
    assert sv("-w3", "cont", "a").returncode == 0
    tree.settle()
    assert ", paused" not in sv("status", "a").stdout


def test_every_signal_arrives(sv: Sv, tree: Tree) -> None:
    # RUN-082
    tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.settle()
    commands = {
        "hup": "HUP",
        "reload": "HUP",
        "alarm": "ALRM",
        "interrupt": "INT",
        "quit": "QUIT",
        "1": "USR1",
        "2": "USR2",
        "cont": "CONT",
    }
    for command, name in {**commands, "term": "TERM"}.items():
        assert sv(command, "a").returncode == 0
        assert tree.ear.line() == f"SIG{name}", command
    tree.settle()
    assert ", got TERM" in sv("status", "a").stdout
    assert sv("kill", "a").returncode == 0
    assert tree.wait_for("down", "a")["reason"] == "signal KILL"
    tree.send("a", "d")


def test_start_stop_and_restart_wait_and_report(sv: Sv, tree: Tree) -> None:
    # RUN-083
    tree.add("a", down="")
    tree.start()
    tree.wait_furnished("a")
    found = sv("start", "a")
    pid = tree.wait_for("up", "a")["pid"]
    assert found.returncode == 0
    assert re.match(rf"ok: run: a: \(pid {pid}\) \ds, normally down", found.stdout)
    for command in ("restart", "try-restart"):
        found = sv(command, "a")
        assert (found.returncode, found.stdout[:8]) == (0, "ok: run:")
        assert tree.wait_for("up", "a")["pid"] != pid
        tree.settle()  # sv believes the file: it must be older than what it is to be asked
    found = sv("stop", "a")
    assert (found.returncode, found.stdout[:9]) == (0, "ok: down:")
    tree.settle()
    assert tree.status("a").pid == 0
    assert sv("-v", "up", "a").stdout.startswith("ok: run: a: ")
    tree.settle()
    assert sv("-v", "down", "a").stdout.startswith("ok: down: a: ")


def test_the_force_commands_kill_what_is_stubborn(sv: Sv, tree: Tree) -> None:
    # RUN-083
    tree.add("a", LISTENER)
    tree.start()
    assert tree.ear.line() == "up"
    tree.settle()
    found = sv("-w1", "stop", "a")
    assert found.returncode == 1
    assert found.stdout.startswith("timeout: run: a: ")
    assert "want down, got TERM" in found.stdout
    found = sv("-w1", "force-stop", "a")
    assert (found.returncode, found.stdout.split(":")[0]) == (1, "kill")
    tree.wait_for("finished", "a")
    tree.settle()
    assert tree.status("a").pid == 0


def test_check_asks_whether_it_is_as_wanted(sv: Sv, tree: Tree) -> None:
    # RUN-083 RUN-084
    service = tree.add("a", check="exit 1")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    assert sv("-w1", "check", "a").stdout.startswith("timeout: ")
    make_service(service, check="exit 0")
    assert sv("-w1", "check", "a").stdout.startswith("ok: run: a: ")
    assert sv("-w1", "start", "a").returncode == 0
    assert sv("-w1", "down", "a").returncode == 0
    tree.wait_for("finished", "a")
    tree.settle()
    assert sv("-w1", "check", "a").stdout.startswith("ok: down: a: ")


def test_shutdown_ends_supervision(tree: Tree) -> None:
    # RUN-083
    sv = Sv(tree, "runit")
    service = make_service(tree.base / "a")
    (tree.scandir / "a").symlink_to(service)
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    (tree.scandir / "a").unlink()
    tree.control("a")
    tree.settle()
    # With s6's and daemontools' meaning of `x` the service has to be brought down as well: `sv` sends only `x`.
    (service / "supervise/control").write_bytes(b"d")
    assert sv("shutdown", str(service)).returncode == 0
    tree.wait_for("released", "a")
    assert sv("status", str(service)).returncode != 0


def test_exit_codes_count_the_failures(sv: Sv, tree: Tree) -> None:
    # RUN-085 (partly)
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    found = sv("down", "a", "nosuch", "nosuch2")
    assert found.returncode == 2
    tree.wait_for("finished", "a")
    assert sv("status", "nosuch").stdout.startswith("fail: nosuch: ")
    assert tree.stop() == 0
    assert sv("status", "a").returncode == 1


def test_sv_as_an_init_script(tree: Tree) -> None:
    # RUN-085 (partly)
    needs("sv")
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()
    script = tree.base / "a"
    script.symlink_to(shutil.which("sv") or "")

    def call(*arguments: str) -> int:
        return tree.client(script, *arguments).returncode

    assert call("status") == 0
    assert call("stop") == 0
    assert call("status") == 3
    assert call("start") == 0
    assert call("restart") == 0
    assert call("nonsense") == 2
    assert tree.stop() == 0
    assert call("status") != 0


def test_busybox_svc_and_svok(tree: Tree) -> None:
    # RUN-086
    program = busybox("svok")
    tree.add("a")
    tree.start()
    tree.wait_for("up", "a")
    tree.settle()

    def call(*arguments: str) -> int:
        return tree.client(program, *arguments).returncode

    service = str(tree.scandir / "a")  # a bare name is looked up in a directory that was compiled in
    assert call("svok", service) == 0
    (tree.base / "plain").mkdir()
    assert call("svok", str(tree.base / "plain")) == 100
    assert call("svc", "-d", service) == 0
    tree.wait_for("finished", "a")
    assert call("svc", "-u", service) == 0
    tree.wait_for("up", "a")
    for letters in ("-t", "-k"):
        assert call("svc", letters, service) == 0
        tree.wait_for("down", "a")
        tree.wait_for("up", "a")
    assert call("svc", "-dx", service) == 0
    tree.wait_for("released", "a")
