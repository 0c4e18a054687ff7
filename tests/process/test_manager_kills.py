"""Changes of the live state that end early: by a time limit, by a signal, by a death of `rc` or of the runner."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time

from tests.process.local_world import until
from tests.process.manager_world import INTERNAL, RUNNER, World
from tests.process.tree import ROOT
from tests.process.waiting import PATIENCE, alive, children


def test_a_oneshot_has_its_time_and_is_ended_after_it(world: World) -> None:
    # SM-170
    world.oneshot("slow", f"echo $$ >{world.base}/pid; exec sleep 1000", timeout_up="300\n")
    world.oneshot("stubborn", None, "exec sleep 1000", timeout_down="300\n")
    world.begin()
    assert "slow: unable to start it" in world.rc("change", "slow", code=1).stderr
    pid = int((world.base / "pid").read_text())
    until(lambda: not alive(pid))
    world.rc("change", "stubborn")
    world.rc("-d", "change", "stubborn", code=1)
    assert world.up() == ["stubborn"]


def test_the_limit_for_all_ends_rc_and_nothing_else(world: World) -> None:
    # SM-184
    os.mkfifo(world.base / "go")
    world.oneshot(
        "slow",
        f"echo begun >{world.tree.ear.path}; read -r line <{world.base}/go; echo over >{world.tree.ear.path}",
    )
    world.longrun("never", "exec sleep 1000", notification_fd="3\n")
    world.begin()
    world.rc("start", "s6rc-oneshot-runner")
    began = time.monotonic()
    changing = world.start("rc", "-l", world.live, "-t", "1500", "-u", "change", "slow", "never")
    assert changing.wait(PATIENCE) == 2
    assert changing.stdout is not None
    changing.stdout.close()  # the script has it, too: its end does not come with that of rc
    assert time.monotonic() - began < PATIENCE
    world.tree.ear.until("begun")
    (world.base / "go").write_text("go\n")
    world.tree.ear.until("over")
    assert world.pid("never")
    assert world.up() == [], "a later change notices what is there"


def test_told_to_end_rc_gives_up_on_longruns_and_lets_oneshots_end(world: World) -> None:
    # SM-185
    os.mkfifo(world.base / "go")
    world.oneshot("slow", f"echo begun >{world.tree.ear.path}; read -r line <{world.base}/go")
    world.oneshot("behind", None, None, "slow")
    world.longrun("never", "echo up never >$EAR; exec sleep 1000", notification_fd="3\n")
    world.begin()
    changing = world.start("rc", "-l", world.live, "change", "behind", "never")
    assert {world.tree.ear.line(), world.tree.ear.line()} == {"begun", "up never"}
    changing.terminate()
    world.tree.wait_for("finished", "never")
    assert changing.poll() is None, "it waits for the oneshot"
    (world.base / "go").write_text("go\n")
    said, _ = changing.communicate(timeout=PATIENCE)
    assert changing.returncode == 1
    assert "got TERM" in said
    assert world.up() == ["slow"], "its result is known, and nothing followed"
    assert world.told() == []


def test_rc_killed_anywhere_leaves_a_state_that_a_rerun_completes(world: World) -> None:
    # SM-186 SM-195 (partly)
    names = [f"s{at}" for at in range(24)]
    for at, name in enumerate(names):
        world.oneshot(
            name, f"echo up {name} >>$JOURNAL", None, *({names[at - 1], names[at // 2]} if at else set())
        )
    world.longrun("web", "exec sleep 1000", "s11")
    world.begin()
    world.rc("start", "s6rc-oneshot-runner")
    rng = random.Random(4)
    for kill in range(4):
        changing = world.start("rc", "-l", world.live, "-v0", "change", "s23", "web")
        if kill:
            at = rng.randrange(len(names))
            deadline = time.monotonic() + PATIENCE
            while f"up {names[at]}" not in world.journal.read_text() and changing.poll() is None:
                assert time.monotonic() < deadline
                select.select([], [], [], 0.001)
        changing.kill()
        changing.communicate(timeout=PATIENCE)
        up = set(world.up())
        for number, name in enumerate(names[1:], 1):
            assert name not in up or {names[number - 1], names[number // 2]} <= up, "a broken dependency"
    recorded = set(world.up())
    world.told()
    world.rc("change", "s23", "web")
    assert set(world.up()) == {*names, "web"}
    assert not {line[3:] for line in world.told()} & recorded, "what was up is not started again"


def test_a_runner_that_is_killed_fails_what_it_ran_and_the_next_change_waits_until_it_is_back(
    world: World,
) -> None:
    # SM-186 (partly) SM-189 (partly)
    os.mkfifo(world.base / "go")
    world.oneshot("slow", f"echo begun >{world.tree.ear.path}; read -r line <{world.base}/go")
    world.oneshot("quick")
    world.begin()
    change = world.start("rc", "-l", world.live, "change", "slow")
    world.tree.ear.until("begun")
    runner = INTERNAL[0]
    os.kill(world.pid(runner), signal.SIGKILL)
    assert change.wait(PATIENCE) == 1
    (world.base / "go").write_text("go\n")  # the script goes on, whoever started it
    said, _ = change.communicate(timeout=PATIENCE)
    assert "slow: unable to start it: the oneshot runner hung up" in said
    world.rc("change", "quick")
    assert world.up() == ["quick"]
    stopped = world.run("svc", "-d", "-wD", world.servicedir(runner))
    assert stopped.returncode == 0, stopped.stderr
    assert world.tree.status(runner).pid == 0, world.tree.status(runner)
    assert "Connection refused" in world.rc("-d", "change", "quick", code=1).stderr, "nobody will start it"


KILLED = """
import os, sys
from initfs.manager import engine, rc
left = int(os.environ["KILL_AT"])
def count(*_):
    global left
    left -= 1
    if not left:
        os._exit(9)
sys.setprofile(count)
code = rc.main(sys.argv)
sys.setprofile(None)
os.write(1, b"%d" % -left)
sys.exit(code)
"""


def test_rc_killed_at_any_call_never_claims_what_is_not(world: World) -> None:
    # SM-186 SM-182 (partly)
    needs = {"a": [], "b": ["a"], "web": ["b"], "c": ["web"], "d": ["b"], "e": ["c", "d"]}
    for name, row in needs.items():
        world.ready(name, *row) if name == "web" else world.oneshot(name, None, None, *row)
    world.oneshot("sync", reload="#!/bin/sh\ntrue\n", flag_essential="")
    world.begin()
    world.rc("start", RUNNER, "sync")

    def change(at: int, *words: str) -> tuple[int, int]:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{KILLED}"
        command = [sys.executable, "-ISc", code, "-l", str(world.live), "-b", *words]
        done = subprocess.run(
            command, env={**world.tree.environment, "KILL_AT": str(at)}, capture_output=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        return done.returncode, int(done.stdout or 0)

    def look() -> tuple[set[str], set[str]]:
        """What is up by the state, and what really is, by the journal; nothing is under way any more."""
        world.rc("reload", "sync")  # the runner has seen all that came before
        until(lambda: not children(world.pid(RUNNER)))
        claimed = set(world.up()) - {"sync"}
        for name in claimed:
            assert set(needs[name]) <= claimed, (name, claimed)
        last = dict(line.split()[::-1] for line in world.journal.read_text().splitlines())
        return claimed, {name for name, what in last.items() if what == "up"} - {"sync"}

    ways = (("-u", "change", "e"), ("-da", "change"))
    totals = [change(0, *words)[1] for words in ways]
    assert look() == (set(), set())
    assert min(totals) > 300
    rng = random.Random(int(os.environ.get("INITFS_SEED", "6")))
    killed = 0
    for _ in range(int(os.environ.get("INITFS_ROUNDS", "5"))):
        for (words, total), whole in zip(zip(ways, totals, strict=True), (set(needs), set()), strict=True):
            killed += change(rng.randrange(1, total), *words)[0] == 9
            claimed, really = look()
            assert claimed <= really if whole else really <= claimed, (
                "what was not told is what was under way"
            )
            assert change(0, *words)[0] == 0, "a rerun completes it"
            assert look() == (whole, whole)
    assert killed
