"""The oneshot runner in a tree."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from initfs.local import sockets
from initfs.manager import orders
from tests.process.local_world import until
from tests.process.manager_world import RUNNER, World
from tests.process.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

    import pytest


def test_a_change_survives_the_death_of_a_runner_that_had_begun_nothing_of_it(world: World) -> None:
    # SM-186 (partly) SM-189 (partly)
    names = [f"s{at}" for at in range(20)]
    for name in names:
        world.oneshot(name)
    world.oneshot("last", None, None, *names)
    world.begin()
    world.rc("start", RUNNER)
    runner = world.pid(RUNNER)
    os.kill(runner, signal.SIGSTOP)
    change = world.start("rc", "-l", world.live, "change", "last")
    until(lambda: connected(change.pid))
    os.kill(runner, signal.SIGKILL)
    said, _ = change.communicate(timeout=PATIENCE)
    assert change.returncode == 0, said
    assert sorted(world.told()) == sorted([f"up {name}" for name in names] + ["up last"]), "each of them once"


def connected(pid: int) -> bool:
    """Whether `rc` has reached the runner: it has made the file for its marks."""
    links = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(fd))
    return "/memfd:begun (deleted)" in links


def test_a_runner_of_before_an_upgrade_is_renewed_by_the_first_rc_of_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SM-189 (partly)
    world.oneshot("a")
    world.oneshot("b", None, None, "a")
    world.begin()
    world.rc("start", RUNNER)
    runner = world.pid(RUNNER)
    say_otherwise(monkeypatch, times=1)
    world.rc("change", "b")
    assert world.told() == ["up a", "up b"]
    until(lambda: world.pid(RUNNER) not in (0, runner))


def test_an_installation_that_is_of_two_versions_is_not_tried_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SM-189 (partly)
    world.oneshot("a")
    world.begin()
    say_otherwise(monkeypatch, times=1000)
    assert "a: unable to start it: the oneshot runner hung up" in world.rc("change", "a", code=1).stderr
    assert world.told() == []


def say_otherwise(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have each `rc` from now on, TIMES, greet as one of another version does."""
    real, strange = sockets.send, iter([b"rc orders 3\n"] * times)

    def send(connection: socket, data: bytes, descriptors: Sequence[int] = ()) -> int:
        return real(connection, next(strange, data) if data == orders.GREETING else data, descriptors)

    monkeypatch.setattr(sockets, "send", send)


def test_a_script_has_its_time_from_its_own_start(world: World) -> None:
    # SM-170 (partly)
    world.oneshot("short", timeout_up="300\n")
    world.longrun("never", "exec sleep 1000", notification_fd="3\n", timeout_up="700\n")
    world.begin()
    world.rc("start", RUNNER)
    runner = world.pid(RUNNER)
    os.kill(runner, signal.SIGSTOP)
    try:
        changing = world.start("rc", "-l", world.live, "change", "short", "never")
        world.tree.wait_for("finished", "never")  # more than its time is over, and it has not begun
    finally:
        os.kill(runner, signal.SIGCONT)
    said, _ = changing.communicate(timeout=PATIENCE)
    assert said.startswith("rc: warning: never: unable to start it: timed out"), (
        "though its time is the longer one"
    )


def test_a_runner_that_is_killed_is_noticed_though_a_copy_of_it_runs_a_chain(world: World) -> None:
    # SM-189 (partly)
    os.mkfifo(world.base / "go")
    script = f'sh -c "echo begun >{world.tree.ear.path}; read -r line <{world.base}/go; echo over >{world.tree.ear.path}"'
    world.oneshot("chained", "unused")
    (world.source / "chained/up").write_text(f"foreground {{ {script} }} true\n")
    world.begin()
    changing = world.start("rc", "-l", world.live, "change", "chained")
    world.tree.ear.until("begun")
    os.kill(world.pid(RUNNER), signal.SIGKILL)
    assert changing.wait(PATIENCE) == 1
    (world.base / "go").write_text("go\n")  # only now does the copy end
    world.tree.ear.until("over")
    said, _ = changing.communicate(timeout=PATIENCE)
    assert "chained: unable to start it: the oneshot runner hung up" in said


def test_the_command_of_a_dry_run_does_the_same_by_hand(world: World) -> None:
    # SM-187 (partly) SM-189 (partly)
    world.oneshot("a", "echo up $RC_NAME", "exit 5")
    world.begin()
    world.rc("start", RUNNER)
    line = world.rc("-n0", "change", "a").stdout.partition(" # ")[0]
    words = line.removeprefix("rc-dryrun: ").split()
    at = words.index("--") + 1
    words[at] = "s"  # a socket's path may have 107 bytes
    done = world.tree.ours(*words, cwd=world.servicedir(RUNNER))
    assert (done.returncode, done.stdout) == (0, "up a\n"), done.stderr
    down = world.tree.ours(*words[:-2], "down", words[-1], cwd=world.servicedir(RUNNER))
    assert down.returncode == 5, down.stderr
