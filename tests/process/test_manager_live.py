"""Making a live directory, and what is refused when it or its database is damaged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from initfs.manager import init
from tests.process.manager_world import INTERNAL, World
from tests.process.waiting import wait_exists

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_live_directory_begins_with_everything_down_and_supervised(world: World) -> None:
    # SM-175
    world.longrun("web")
    world.begin()
    assert world.live.is_symlink()
    assert world.rc("-a", "list").stdout == ""
    assert sorted(world.rc("-da", "list").stdout.split()) == sorted([*INTERNAL, "web"])
    assert (world.live / "state").read_bytes() == bytes(3)
    assert world.tree.ours("svok", world.tree.scandir / "web").returncode == 0
    assert (world.servicedir("web") / "down").exists()
    assert world.pid("web") == 0


def test_beginning_again_is_no_trouble_unless_it_is_elsewhere(world: World) -> None:
    # SM-176
    world.longrun("web")
    compiled = world.begin()
    words = ("-c", compiled, "-l", world.live)
    assert world.run("rc-init", *words, world.tree.scandir).returncode == 0
    assert world.run("rc-init", *words, "-p", "other-", world.tree.scandir).returncode == 102
    world.live.unlink()
    assert world.run("rc-init", *words, world.tree.scandir).returncode == 0, "the lost link is found again"
    assert world.rc("list", "web").stdout == "web\n"
    assert world.run("rc-init", *words[:-1], "relative", world.tree.scandir).returncode == 100
    nowhere = world.run("rc-init", *words[:-1], world.base / "new", world.base)
    assert nowhere.returncode == 100
    assert "no svscan" in nowhere.stderr


def test_two_live_directories_share_a_tree_by_their_prefixes(world: World) -> None:
    # SM-176 (partly)
    world.longrun("web")
    compiled = world.begin("-p", "one-")
    second = world.base / "second"
    boot = world.base / "boot"
    boot.symlink_to(compiled)
    done = world.run(
        "rc-init", "-d", "-c", boot, "-l", second, "-p", "two-", "-t", "20000", world.tree.scandir
    )
    assert done.returncode == 0, done.stderr
    assert os.readlink(second / "compiled") == str(compiled)
    names = {path.name for path in world.tree.scandir.iterdir() if not path.name.startswith(".")}
    assert names == {f"{prefix}-{name}" for prefix in ("one", "two") for name in (*INTERNAL, "web")}
    world.rc("start", "web")
    assert world.run("rc", "-l", second, "-a", "list").stdout == ""


def test_a_beginning_that_cannot_be_leaves_nothing(world: World) -> None:
    # SM-176 (partly)
    world.longrun("web")
    compiled = world.compile()
    world.tree.add("web", "exec sleep 999")
    world.tree.wait_for("up", "web")
    done = world.run("rc-init", "-c", compiled, "-l", world.live, "-t", "5000", world.tree.scandir)
    assert done.returncode == 111
    assert "exists already" in done.stderr
    assert not list(world.base.glob("live*"))
    (compiled / "db").write_bytes(b"damaged")
    assert world.run("rc-init", "-c", compiled, "-l", world.live, world.tree.scandir).returncode == 4
    assert not list(world.base.glob("live*"))


def test_a_beginning_ends_with_an_error_when_svscan_refuses_some_of_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SM-175 (partly)
    monkeypatch.setattr(init, "STUCK", 1.0)
    with World(tmp_path, "-C", "4") as small:
        for name in ("a", "b", "c"):
            small.longrun(name)
        done = small.run("rc-init", "-c", small.compile(), "-l", small.live, small.tree.scandir)
        assert done.returncode == 111, done.stderr
        missing = f"no supervisor for {small.live.parent}/live:"
        assert missing in done.stderr
        assert "svscan says why" in done.stderr
        assert not os.path.lexists(small.live)
        assert [path.name for path in small.tree.scandir.iterdir() if path.name[0] != "."] == []
        small.stop()


def test_a_damaged_database_or_state_stops_a_change_before_it_begins(world: World) -> None:
    # SM-174 (partly)
    world.oneshot("a")
    compiled = world.begin()
    good = (compiled / "db").read_bytes()
    (compiled / "db").write_bytes(good[:-3] + b"xyz")
    assert "check sum" in world.rc("change", "a", code=4).stderr
    (compiled / "db").write_bytes(good)
    state = (world.live / "state").read_bytes()
    (world.live / "state").write_bytes(state[:-1])
    world.rc("-a", "list", code=4)
    (world.live / "state").write_bytes(state)
    world.rc("change", "a")
    assert world.told() == ["up a"]


def test_with_a_damaged_database_nothing_is_done_whatever_is_asked(world: World) -> None:
    # SM-174 (partly) SM-186 (partly)
    world.oneshot("a", reload="#!/bin/sh\ntrue\n")
    world.longrun("web", "exec sleep 1000", "a")
    compiled = world.begin()
    new = world.compile()
    world.rc("change", "web")
    world.told()
    pid = world.pid("web")
    before = contents(world)
    good = (compiled / "db").read_bytes()
    flipped = bytearray(good)
    flipped[len(good) * 2 // 3] ^= 1
    live = ("-l", world.live)
    asked = [
        *(("rc", *live, *words) for words in (("-da", "change"), ("-pu", "change", "a"), ("start", "a"), ("stop", "a"), ("reload", "a"),
                                              ("-a", "list"), ("listall", "a"), ("diff",), ("graph", "a"), ("-n0", "change", "a"))),
        ("rc-update", *live, new), ("rc-update", "-n", *live, new), ("rc-bundle", *live, "add", "b", "a"), ("rc-db", *live, "list", "all"),
    ]  # fmt: skip
    for damaged in (
        bytes(flipped),
        good[: len(good) // 2],
        good.replace(b"initfs-rc 1", b"initfs-rc 2", 1),
        b"",
    ):
        (compiled / "db").write_bytes(damaged)
        for words in asked:
            done = world.run(*words)
            assert done.returncode == 4, (words, done)
            assert str(compiled) in done.stderr or str(world.live) in done.stderr
        assert contents(world) == before
    (compiled / "db").write_bytes(good)
    assert world.told() == []
    assert world.pid("web") == pid
    world.rc("-da", "change")
    assert world.told() == ["down a"]


def contents(world: World) -> dict[str, bytes]:
    """What the live directory has, but for what the supervisor writes."""
    here = world.live.resolve()
    found = [path for path in here.rglob("*") if "supervise" not in path.parts and "event" not in path.parts]
    return {str(path.relative_to(here)): path.read_bytes() for path in found if path.is_file()}


def test_nothing_is_resident_but_the_runner_and_the_journal_is_quiet(world: World) -> None:
    # SM-198
    world.oneshot("a")
    world.longrun("web")
    compiled = world.begin()
    before = {path: path.read_bytes() for path in compiled.rglob("*") if path.is_file()}
    world.rc("change", "a", "web")
    wait_exists(world.live / "timing")
    world.rc("-da", "change")
    assert {path: path.read_bytes() for path in compiled.rglob("*") if path.is_file()} == before
    pids = [world.pid(name) for name in ("s6rc-oneshot-runner", "s6rc-fdholder", "web")]
    assert pids[0]
    assert pids[1:] == [0, 0]
