"""Bundles that are edited, repositories and sets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.process.manager_world import World, consistent

if TYPE_CHECKING:
    from pathlib import Path


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
    do("set-commit", "s", code=1)
    for pull in "Pp":
        do("set-change", "-i", f"-{pull}", "s", "active", "web", "log", code=1)
    do("set-change", "-i", "s", "active", "log")
    assert status()["log"] == "active"
    do("set-change", "-i", "s", "masked", "net", code=1)
    assert status()["net"] == "usable"
    do("set-change", "s", "masked", "base", code=1)
    do("set-change", "s", "asleep", "net", code=100)
    do("set-change", "s", "always", "net", code=100)
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
