from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.process.manager_world import CODE, World
from tests.process.tree import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        made.stop()


def update(world: World, *options: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Compile what the source is now, and go over to it."""
    done = world.run("rc-update", "-l", world.live, "-t", "30000", *options, world.compile())
    assert done.returncode == code, (done.returncode, done.stderr, world.tree.said)
    return done


def consistent(world: World) -> None:
    """The live directory is whole: what is up is up for its supervisor too, and the scan directory leads into it."""
    assert world.rc("diff", code=None).stdout == ""
    here = os.path.realpath(world.live)
    longruns = set(world.run("rc-db", "-l", world.live, "list", "longruns").stdout.split())
    entries = {path.name: os.readlink(path) for path in world.tree.scandir.iterdir() if path.is_symlink()}
    assert entries == {name: f"{here}/servicedirs/{name}" for name in longruns}
    assert [str(path) for path in world.live.parent.glob("live:*")] == [here], "the old one is gone"


def test_what_did_not_change_goes_on_and_a_new_script_counts_at_the_next_start(world: World) -> None:
    # SM-192
    world.longrun("web", "echo old >$EAR; exec sleep 1000")
    world.oneshot("one")
    world.begin()
    world.rc("change", "web", "one")
    world.tree.ear.until("old")
    pid = world.pid("web")
    (world.source / "web/run").write_text("#!/bin/sh\necho new >$EAR; exec sleep 1000\n")
    (world.source / "web/timeout-kill").write_text("3000\n")
    world.told()
    assert "web: goes on" in update(world, "-v2").stderr
    assert world.pid("web") == pid
    assert (world.servicedir("web") / "timeout-kill").read_text() == "3000\n"
    assert world.told() == []
    assert set(world.up()) == {"web", "one"}
    consistent(world)
    world.tree.ours("svc", "-wr", "-r", world.tree.scandir / "web")
    world.tree.ear.until("new")


def test_only_what_has_to_be_restarted_is(world: World) -> None:
    # SM-191
    for name, needs in {"a": [], "b": ["a"], "gone": [], "web": ["gone"], "calm": ["b"]}.items():
        world.ready(name, *needs)
    world.begin()
    world.rc("change", "web", "calm")
    world.told()
    pids = {name: world.pid(name) for name in ("a", "b", "calm", "web")}
    shutil.rmtree(world.source / "gone")
    (world.source / "web/dependencies.d/gone").rename(world.source / "web/dependencies.d/fresh")
    world.ready("fresh")
    update(world)
    assert world.told() == ["down web", "down gone", "up fresh", "up web"]
    assert {name: world.pid(name) for name in pids if name != "web"} == {
        name: pid for name, pid in pids.items() if name != "web"
    }
    assert set(world.up()) == {"a", "b", "calm", "fresh", "web"}
    consistent(world)


def test_a_renamed_service_goes_on_under_its_new_name(world: World) -> None:
    # SM-191 (partly)
    world.ready("old")
    world.ready("needs", "old")
    world.begin("-p", "pre-")
    world.rc("change", "needs")
    world.told()
    pid = world.tree.status("pre-old").pid
    (world.source / "old").rename(world.source / "new")
    (world.source / "needs/dependencies.d/old").rename(world.source / "needs/dependencies.d/new")
    conversion = world.base / "conversion"
    conversion.write_text("# renamed\nold -> new\n")
    update(world, "-f", conversion)
    assert world.told() == []
    assert set(world.up()) == {"new", "needs"}
    assert not (world.tree.scandir / "pre-old").exists()
    world.tree.settle()
    assert world.tree.status("pre-new").pid == pid
    world.rc("-da", "change")
    assert world.told() == ["down needs", "down old"], "its script still says the old name"


def test_a_conversion_file_asks_for_a_restart_and_for_what_cannot_be(world: World) -> None:
    # SM-191 (partly)
    world.ready("a")
    world.bundle("all", "a")
    world.begin()
    world.rc("change", "a")
    world.told()
    conversion = world.base / "conversion"
    for text, code in (
        ("nobody\n", 3),
        ("all restart\n", 5),
        ("a\na\n", 6),
        ("a what\n", 100),
        ("a -> nobody", 3),
    ):
        conversion.write_text(text)
        update(world, "-f", conversion, code=code)
        assert world.told() == []
    conversion.write_text("a restart\n")
    update(world, "-f", conversion)
    assert world.told() == ["down a", "up a"]
    consistent(world)


def test_an_update_that_cannot_stop_what_must_stop_switches_nothing(world: World) -> None:
    # SM-191 (partly)
    world.oneshot("stuck", None, "exit 1")
    os.mkfifo(world.base / "go")
    world.oneshot("slow", None, f"read -r line <{world.base}/go; echo over >$EAR")
    first = world.begin()
    world.rc("change", "stuck")
    shutil.rmtree(world.source / "stuck")
    update(world, code=9)
    assert os.readlink(world.live / "compiled") == str(first)
    assert world.up() == ["stuck"]
    world.rc("change", "slow")
    shutil.rmtree(world.source / "slow")
    world.oneshot("stuck")
    compiled = world.compile()
    updating = world.start("rc-update", "-l", world.live, "-t", "800", compiled)
    assert updating.wait(PATIENCE) == 10
    assert updating.stdout is not None
    updating.stdout.close()
    assert os.readlink(world.live / "compiled") == str(first)
    assert set(world.up()) == {"stuck", "slow"}
    (world.base / "go").write_text("go\n")
    world.tree.ear.until("over")


def test_an_update_whose_new_services_fail_is_switched_and_says_so(world: World) -> None:
    # SM-191 (partly)
    world.oneshot("a")
    world.begin()
    world.rc("change", "a")
    world.oneshot("bad", "exit 1")
    (world.source / "a/dependencies.d").mkdir()
    (world.source / "a/dependencies.d/bad").touch()
    update(world, code=1)
    assert world.rc("list", "bad").stdout == "bad\n", "it is the new database"
    assert world.up() == []


def test_a_preview_tells_why_and_changes_nothing(world: World) -> None:
    world.ready("a")
    world.ready("b", "a")
    world.ready("same")
    world.begin()
    world.rc("change", "b", "same")
    world.told()
    (world.source / "same/run").write_text("#!/bin/sh\nexec sleep 3\n")
    shutil.rmtree(world.source / "a")
    shutil.rmtree(world.source / "b/dependencies.d")
    before = os.path.realpath(world.live)
    lines = update(world, "-n", "-v2").stdout.splitlines()
    assert lines == [
        "rc-dryrun: stop b # it needs a, which stops",
        "rc-dryrun: stop a # it is not there any more",
        "rc-dryrun: start b",
        "rc-dryrun: keep same # with its new files at the next start",
    ]
    told = json.loads(update(world, "-n", "--json").stdout)
    assert (told["start"], told["changed"], told["keep"]) == (
        ["b"],
        ["same"],
        ["s6rc-oneshot-runner", "s6rc-fdholder", "same"][2:],
    )
    assert os.path.realpath(world.live) == before
    assert world.told() == []


def test_pipelines_come_go_and_change_their_names_under_way(world: World) -> None:
    # SM-191 (partly) SM-190 (partly)
    reader = "while read -r line; do echo $line >$EAR; done"
    writer = f"while read -r line; do echo $line; done <{world.base}/go"
    os.mkfifo(world.base / "go")
    fd = os.open(world.base / "go", os.O_RDWR | os.O_CLOEXEC)
    try:
        world.longrun("log", reader, consumer_for="source\n")
        world.longrun("source", writer, producer_for="log\n")
        world.begin()
        world.rc("change", "source")
        os.write(fd, b"one\n")
        world.tree.ear.until("one")
        (world.source / "log").rename(world.source / "sink")
        (world.source / "source/producer-for").write_text("sink\n")
        world.longrun("log", reader, consumer_for="other\n")
        world.longrun("other", "echo from the other; exec sleep 1000", producer_for="log\n")
        conversion = world.base / "conversion"
        conversion.write_text("log -> sink\n")
        pids = world.pid("log"), world.pid("source")
        update(world, "-f", conversion)
        world.tree.settle()
        assert (world.pid("sink"), world.pid("source")) == pids
        os.write(fd, b"two\n")
        world.tree.ear.until("two")
        world.tree.ours("svc", "-wr", "-k", world.tree.scandir / "source")
        world.tree.ours("svc", "-wr", "-k", world.tree.scandir / "sink")
        os.write(fd, b"three\n")
        world.tree.ear.until("three")
        world.rc("change", "other")
        world.tree.ear.until("from the other")
        consistent(world)
    finally:
        os.close(fd)


def test_another_format_of_the_same_services_touches_none_of_them(world: World) -> None:
    # SM-194
    world.ready("web")
    world.oneshot("one")
    old = world.begin()
    world.rc("change", "web", "one")
    world.told()
    pid, state = world.pid("web"), (world.live / "state").read_bytes()
    data = (old / "db").read_bytes()
    (old / "db").write_bytes(data.replace(b"initfs-rc 1 ", b"initfs-rc 0 ", 1))
    assert "format 0, not 1" in world.rc("-a", "list", code=4).stderr
    done = world.run("rc-format-upgrade", "-l", world.live, world.compile())
    assert done.returncode == 0, done.stderr
    assert (world.pid("web"), (world.live / "state").read_bytes()) == (pid, state)
    assert set(world.up()) == {"web", "one"}
    assert world.told() == []
    world.oneshot("more")
    assert world.run("rc-format-upgrade", "-l", world.live, world.compile()).returncode == 4


def test_a_bad_new_database_leaves_the_old_one_live(world: World) -> None:
    # SM-191 (partly)
    world.oneshot("a")
    first = world.begin()
    world.rc("change", "a")
    second = world.compile()
    (second / "db").write_bytes(b"initfs-rc 1 00000000 3\nxyz")
    for words, code in (([second], 4), ([world.base / "none"], 111), (["relative"], 100), ([], 100)):
        assert world.run("rc-update", "-l", world.live, *words).returncode == code
    assert os.readlink(world.live / "compiled") == str(first)
    assert world.up() == ["a"]


def test_bundles_are_edited_in_a_live_database(world: World) -> None:
    # SM-193
    for name in ("a", "b", "c"):
        world.oneshot(name)
    world.bundle("all", "a", "b")
    compiled = world.begin()

    def edit(*words: str, code: int = 0) -> None:
        before = (compiled / "db").read_bytes()
        done = world.run("rc-bundle", "-l", world.live, *words)
        assert done.returncode == code, done.stderr
        assert code == 0 or (compiled / "db").read_bytes() == before

    def contents(name: str) -> list[str]:
        return world.run("rc-db", "-l", world.live, "contents", name).stdout.split()

    edit("add", "two", "all", "c")
    assert contents("two") == ["a", "b", "c"]
    world.rc("change", "two")
    assert set(world.up()) == {"a", "b", "c"}
    edit("add", "two", "a", code=1)
    edit("add", "a", "b", code=1)
    edit("-f", "add", "two", "a")
    assert contents("two") == ["a"]
    edit("add", "three", "nobody", code=3)
    edit("add", "s6rc-x", "a", code=100)
    edit("delete", "nobody", code=3)
    edit("delete", "a", code=5)
    edit("-f", "delete", "nobody")
    edit("multiple", "{", "two", "}", "x", "{", "two", "c", "}", "y", "{", "b", "}")
    assert (contents("x"), contents("y"), contents("two")) == (["a", "c"], ["b"], [])
    edit("multiple", " x", " nobody", "", "z", " a", "", code=3)
    assert contents("x") == ["a", "c"]
    edit("delete", "x", "y")
    assert world.run("rc-db", "-l", world.live, "list", "bundles").stdout.split() == ["all"]
    edit("add", "x", code=100)
    edit("multiple", "{", "x", code=100)
    assert world.run("rc-bundle", "help").returncode == 0
    assert world.run("rc-db", "-l", world.live, "check").returncode == 0


def test_a_repository_makes_databases_of_sets(world: World) -> None:
    # SM-196
    world.oneshot("base", flag_essential="")
    world.oneshot("net", None, None, "base")
    world.oneshot("web", None, None, "net", flag_recommended="")
    world.longrun("log", "exec cat", consumer_for="talk\n")
    world.longrun("talk", "exec sleep 1000", producer_for="log\n")
    world.bundle("logged", "log", "talk")
    repository = world.base / "repository"

    def do(name: str, *words: object, code: int = 0) -> str:
        done = world.run(name, "-r", repository, *words)
        assert done.returncode == code, (name, words, done.stderr)
        return done.stdout

    def status(name: str = "s") -> dict[str, str]:
        return dict(line.split("/") for line in do("set-status", name).split())

    do("repo-list", code=102)
    do("repo-init", world.source)
    do("repo-init", world.source, code=111)
    do("set-new", "s", "t")
    assert do("repo-list", "-x", "t") == "s\n"
    assert status() == {"base": "always", "net": "usable", "web": "active", "log": "usable", "talk": "usable"}
    do("set-change", "-i", "s", "active", "web", "log", code=1)
    do("set-change", "-i", "s", "active", "log")
    assert status()["log"] == "active"
    do("set-change", "-i", "s", "masked", "net", code=1)
    assert status()["net"] == "usable"
    do("set-change", "s", "masked", "base", code=1)
    do("set-change", "s", "asleep", "net", code=100)
    do("set-change", "s", "usable", "nobody", code=3)
    do("set-change", "s", "masked", "talk")
    assert (status()["talk"], status()["log"]) == ("masked", "masked")
    do("set-fix", "-n", "-u", "s")
    assert status()["net"] == "usable"
    do("set-fix", "-u", "s")
    assert status()["net"] == "active"
    do("set-commit", "s")
    compiled = repository / "committed/s/db"
    listed = world.run("rc-db", "-c", compiled, "list", "all").stdout.split()
    assert sorted(listed) == ["base", "default", "net", "s6rc-fdholder", "s6rc-oneshot-runner", "web"]
    assert world.run("rc-db", "-c", compiled, "contents", "default").stdout.split() == ["base", "net", "web"]
    identity = (compiled / "db").stat().st_ino
    do("set-commit", "s")
    assert (compiled / "db").stat().st_ino == identity, "nothing changed: nothing is done"
    (world.source / "web/up").write_text("#!/bin/sh\nanother\n")
    do("repo-sync")
    do("set-commit", "s")
    assert "another" in (compiled / "scripts/web/up").read_text(), "a script is a change as well"
    assert do("set-commit", "-f", "-K", "s").strip().startswith(str(repository))
    boot = world.base / "boot/current"
    do("set-copy", "s", "t", code=1)
    do("set-copy", "-f", "s", "t")
    assert status("t") == status("s")
    do("set-install", "--no-update", "-c", boot, "t", code=7)
    do("set-install", "--no-update", "-c", boot, "s")
    assert world.run("rc-db", "-c", boot, "list", "all").stdout.split() == listed
    world.oneshot("fresh", flag_recommended="")
    shutil.rmtree(world.source / "web")
    do("set-status", "t")
    do("repo-sync")
    assert status("t") == {
        "base": "always",
        "net": "active",
        "log": "masked",
        "talk": "masked",
        "fresh": "active",
    }
    (world.source / "fresh/type").write_text("strange\n")
    do("repo-sync", code=1)
    assert "fresh" in status("t"), "the former reference stays"
    do("set-delete", "t")
    assert do("repo-list") == "s\n"
    do("set-status", "t", code=3)


def test_a_later_store_wins_with_a_warning(world: World) -> None:
    # SM-196 (partly)
    world.oneshot("a")
    other = world.base / "other"
    shutil.copytree(world.source / "a", other / "a")
    (other / "a/timeout-up").write_text("77\n")
    repository = world.base / "repository"
    done = world.run("repo-init", "-r", repository, world.source, other)
    assert done.returncode == 0
    assert "takes the place of" in done.stderr
    assert world.run("rc-db", "-c", repository / "reference", "timeout", "a").stdout == "77\n"
    assert world.run("repo-init", "-U", "-r", repository, world.source).returncode == 0
    assert world.run("rc-db", "-c", repository / "reference", "timeout", "a").stdout == "0\n"


def test_a_set_is_installed_under_way_and_for_the_next_boot(world: World) -> None:
    # SM-197 (partly)
    world.ready("web")
    world.ready("other")
    repository, boot = world.base / "repository", world.base / "boot/current"
    names = ("-r", repository)
    assert world.run("repo-init", *names, world.source).returncode == 0
    assert world.run("set-new", *names, "s").returncode == 0
    assert world.run("set-change", *names, "s", "active", "web").returncode == 0
    assert world.run("set-commit", *names, "s").returncode == 0
    assert world.run("set-install", *names, "-c", boot, "--no-update", "s").returncode == 0
    done = world.run("rc-init", "-c", boot, "-l", world.live, "-t", "20000", world.tree.scandir)
    assert done.returncode == 0, done.stderr
    world.rc("change", "default")
    assert world.up() == ["web"]
    first, pid = os.readlink(boot), world.pid("web")
    assert world.run("set-change", *names, "s", "active", "other").returncode == 0
    assert world.run("set-install", *names, "-c", boot, "-l", world.live, "s").returncode == 7
    assert world.run("set-commit", *names, "s").returncode == 0
    done = world.run("set-install", *names, "-c", boot, "-l", world.live, "s")
    assert done.returncode == 0, done.stderr
    assert os.readlink(boot) != first
    assert not (boot.parent / first).exists()
    assert world.pid("web") == pid
    world.rc("change", "default")
    assert world.up() == ["other", "web"]
    consistent(world)
    again_after_a_boot(world, boot)
    assert world.up() == ["other", "web"]


def again_after_a_boot(world: World, boot: Path) -> None:
    """What was in memory is gone, and stage 2 runs again."""
    world.stop()
    for path in (*world.live.parent.glob("live*"), *world.tree.scandir.iterdir()):
        if path.is_symlink():
            path.unlink()
    for path in world.live.parent.glob("live:*"):
        shutil.rmtree(path)
    world.tree.start()
    done = world.run("rc-init", "-c", boot, "-l", world.live, "-t", "20000", world.tree.scandir)
    assert done.returncode == 0, done.stderr
    world.rc("change", "default")


KILLED = """
import os, sys
at = int(os.environ["KILL_AT"])
def count(call):
    def counted(*arguments, **named):
        global at
        if at == 0:
            os._exit(9)
        at -= 1
        return call(*arguments, **named)
    return counted
for name in ("rename", "symlink", "unlink", "mkdir", "write"):
    setattr(os, name, count(getattr(os, name)))
"""


@pytest.mark.parametrize("round_", range(int(os.environ.get("INITFS_ROUNDS", "1"))))
def test_an_update_killed_at_any_step_leaves_a_whole_live_directory_that_another_completes(
    world: World, round_: int
) -> None:
    # SM-191 (partly) SM-186 (partly)
    world.ready("calm")
    world.ready("gone")
    world.ready("web", "gone")
    databases = [world.begin()]
    world.rc("change", "web", "calm")
    (world.source / "calm/timeout-kill").write_text("9000\n")
    shutil.rmtree(world.source / "gone")
    shutil.rmtree(world.source / "web/dependencies.d")
    world.ready("fresh")
    databases.append(world.compile())
    pid = world.pid("calm")
    killed = 0
    for at in range(round_ * 7, 400, 41):
        target = databases[(killed + 1) % 2]
        words = ["-IS", "-c", KILLED + CODE, "rc-update", "-v0", "-l", str(world.live), str(target)]
        environment = {**world.tree.environment, "KILL_AT": str(at)}
        done = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, check=False, timeout=60
        )
        assert done.returncode in (0, 9), done
        up = set(world.up())
        assert {"calm"} <= up <= {"calm", "gone", "web", "fresh"}
        assert world.pid("calm") == pid
        killed += done.returncode == 9
        finished = world.run("rc-update", "-l", world.live, "-t", "30000", target)
        assert finished.returncode == 0, (at, finished.stderr)
        assert {"calm", "web"} <= set(world.up()), at
        assert world.pid("calm") == pid
        knob = world.servicedir("calm") / "timeout-kill"
        assert knob.exists() == (target == databases[1]), at
        consistent(world)
        if done.returncode == 0:
            break
    assert killed >= 3


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_file_system_stops_no_change_and_breaks_no_update(world: World) -> None:
    # SM-186 (partly) SM-191 (partly)
    full = world.base / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(full)], check=True)
    try:
        world.live = full / "live"
        world.ready("web", **{"data/x": "x"})
        world.oneshot("a")
        first = world.begin()
        (world.source / "web/data/x").write_text("y" * 5000)
        second = world.compile()
        world.rc(
            "change", "web", "s6rc-oneshot-runner"
        )  # a supervisor tells news only once they are in its files
        fill(full)
        world.rc("change", "a")
        assert set(world.up()) == {"a", "web"}
        done = world.run("rc-update", "-l", world.live, "-t", "30000", second)
        assert done.returncode == 111, done.stderr
        assert os.readlink(world.live / "compiled") == str(first)
        consistent(world)
        another = world.run(
            "rc-init", "-c", second, "-l", full / "other", "-p", "other-", "-t", "5000", world.tree.scandir
        )
        assert another.returncode == 111
        assert sorted(path.name for path in full.iterdir() if path.name.startswith("other")) == []
        world.rc("-d", "change", "a")
        assert world.up() == ["web"]
        (full / "filler").unlink()
        assert world.run("rc-update", "-l", world.live, "-t", "30000", second).returncode == 0
    finally:
        try:
            world.stop()
        finally:
            subprocess.run(["umount", "-l", str(full)], check=True)


def fill(directory: Path) -> None:
    """Leave no room in the file system."""
    with (directory / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
