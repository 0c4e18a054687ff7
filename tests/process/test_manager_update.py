"""Going over to another database."""

from __future__ import annotations

import json
import os
import shutil

from tests.process.manager_world import World, consistent, update
from tests.process.waiting import PATIENCE


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
