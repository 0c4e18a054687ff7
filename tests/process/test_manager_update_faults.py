"""Updates that are killed, and a file system without room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from initfs.manager import disk, switch
from tests.process.manager_world import CODE, World, consistent, update

if TYPE_CHECKING:
    from pathlib import Path


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


# At the 11th step, in round 25, a service directory has just been moved.
ROUNDS = range(int(os.environ["INITFS_ROUNDS"])) if "INITFS_ROUNDS" in os.environ else (0, 25)


@pytest.mark.parametrize("round_", ROUNDS)
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
    for at in range(round_ * 7 % 41, 400, 41):
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


@pytest.mark.parametrize("able", [True, False])
def test_a_directory_that_is_moved_away_leaves_a_link(
    able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/file").write_text("x")
    inode = (tmp_path / "old").stat().st_ino
    if not able:

        def without(*_: str) -> None:
            raise AttributeError("renameat2")

        monkeypatch.setattr(disk, "_exchange", without)

    disk.move_away(str(tmp_path / "old"), str(tmp_path / "new"))

    assert (tmp_path / "new").lstat().st_ino == inode
    assert os.readlink(tmp_path / "old") == str(tmp_path / "new")
    assert (tmp_path / "old/file").read_text() == "x"


def test_an_update_ends_with_an_error_when_svscan_refuses_what_is_new_and_another_puts_it_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SM-191 (partly)
    monkeypatch.setattr(switch, "STUCK", 1.0)
    with World(tmp_path, "-C", "4") as small:
        small.ready("calm")
        small.longrun("gone")
        small.begin()
        small.rc("change", "calm", "gone")
        pid = small.pid("calm")
        small.longrun("fresh")
        refused = update(small, code=111).stderr
        assert f"no supervisor for {small.live}:" in refused
        assert "svscan says why; the new database is the live one" in refused
        assert set(small.up()) == {"calm", "gone"}, "what is up goes on"
        shutil.rmtree(small.source / "gone")
        monkeypatch.undo()
        update(small)
        consistent(small)
        small.rc("change", "fresh")
        assert set(small.up()) == {"calm", "fresh"}
        assert small.pid("calm") == pid
        small.stop()


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
