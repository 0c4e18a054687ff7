from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.process.manager_world import INTERNAL, World
from tests.process.tree import PATIENCE, ROOT, Ear, alive, children, wait_exists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER = INTERNAL[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        made.tree.stop()


def chained(world: World) -> None:
    """a <- b <- c (a longrun) <- d, and e beside them."""
    world.oneshot("a")
    world.oneshot("b", None, None, "a")
    world.ready("c", "b")
    world.oneshot("d", None, None, "c")
    world.oneshot("e")
    world.bundle("all", "d", "e")
    world.begin()


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


def test_services_come_up_after_what_they_need_and_go_down_before_it(world: World) -> None:
    # SM-177 SM-181
    chained(world)
    world.rc("change", "all")
    told = world.told()
    assert [line for line in told if line != "up e"] == ["up a", "up b", "up c", "up d"]
    assert "up e" in told
    assert set(world.up()) == {"a", "b", "c", "d", "e"}
    assert world.rc("diff").stdout == ""
    world.rc("-da", "change")
    assert [line for line in world.told() if line != "down e"] == ["down d", "down c", "down b", "down a"]
    assert world.up() == []
    assert (world.servicedir("c") / "down").exists()


def test_what_is_independent_goes_on_at_the_same_time(world: World) -> None:
    # SM-177 (partly)
    for one, other in (("x", "y"), ("y", "x")):  # each waits until the other has begun
        os.mkfifo(world.base / f"to-{one}")
        world.oneshot(
            one,
            f"echo here >{world.base}/to-{other} & read -r line <{world.base}/to-{one}; wait; echo up {one} >>$JOURNAL",
        )
    world.begin()
    world.rc("-t", "20000", "change", "x", "y")
    assert sorted(world.told()) == ["up x", "up y"]


def test_changes_of_every_kind_reach_what_a_model_says(world: World) -> None:
    # SM-178 (partly) SM-172
    chained(world)
    world.rc("change", "all")
    world.rc("-pu", "change", "b")
    assert set(world.up()) == {"a", "b"}
    world.rc("-pd", "change", "e")
    assert set(world.up()) == {"a", "b", "c", "d"}
    world.rc("-d", "change", "b")
    assert set(world.up()) == {"a"}
    world.rc("-ua", "change", "c")
    assert set(world.up()) == {"a", "b", "c"}
    world.rc("-pu", "change")
    assert world.up() == []
    assert set(world.rc("-a", "list").stdout.split()) == set(INTERNAL), (
        "they are essential, and -pd brought up all others"
    )
    assert world.rc("-ae", "list").stdout == ""
    world.rc("-Da", "change")
    assert world.rc("-a", "list").stdout == ""


def test_an_essential_service_is_spared_with_a_warning(world: World) -> None:
    # SM-172 (partly)
    world.oneshot("base")
    world.oneshot("ess", None, None, "base", flag_essential="")
    world.oneshot("top", None, None, "ess")
    world.begin()
    world.rc("change", "top")
    done = world.rc("-da", "change")
    assert "ess: is essential" in done.stderr
    assert set(world.up()) == {"base", "ess"}
    assert world.told()[-1] == "down top"
    world.rc("-D", "stop", "base")
    assert world.up() == []


def test_lists_show_selections_and_what_they_need(world: World) -> None:
    # SM-179 (partly)
    chained(world)
    assert world.rc("list", "d", "a").stdout.split() == ["a", "d"]
    assert set(world.rc("listall", "c").stdout.split()) == {"a", "b", "c", "s6rc-oneshot-runner"}
    assert set(world.rc("-d", "listall", "b").stdout.split()) == {"b", "c", "d"}
    assert set(world.rc("-d", "list", "a", "b", "c", "d").stdout.split()) == {"e", *INTERNAL}
    world.rc("nobody", code=100)
    world.rc("list", "nobody", code=3)
    world.rc(code=100)


def test_a_supervisor_that_disagrees_is_told(world: World) -> None:
    # SM-179
    world.longrun("web")
    world.longrun("fails", finish="exit 125")
    world.begin()
    world.rc("change", "web", "fails")
    world.tree.ours("svc", "-wD", "-d", world.tree.scandir / "web")
    assert world.rc("diff", code=1).stdout == "-web\n"
    pid = world.pid("fails")
    os.kill(pid, signal.SIGKILL)
    world.tree.wait_for("failed", "fails")
    world.tree.settle()
    assert world.rc("diff", code=1).stdout == "-fails\n-web\n"
    world.rc("-d", "change", "web", "fails")
    world.tree.ours("svc", "-wu", "-u", world.tree.scandir / "web")
    assert world.rc("diff", code=1).stdout == "+web\n"


def test_start_stop_and_reload(world: World) -> None:
    # SM-180
    ear = world.tree.ear
    world.longrun(
        "web",
        f"trap 'echo hup >{ear.path}' HUP; echo here >{ear.path}; while :; do sleep 0.05; done",
        reload_signal="HUP\n",
    )
    world.oneshot("one", reload="#!/bin/sh\necho reload $RC_NAME $RC_RELOAD >>$JOURNAL\n")
    world.oneshot("bad", reload="#!/bin/sh\nexit 3\n")
    world.begin()
    assert "one" in world.rc("reload", "one", "web", code=1).stderr
    assert world.told() == []
    world.rc("start", "web", "one", "bad")
    ear.until("here")
    world.rc("reload", "one", "web")
    ear.until("hup")
    assert world.told()[-1] == "reload one 1"
    assert "exit code 3" in world.rc("reload", "bad", code=1).stderr
    assert set(world.up()) == {"web", "one", "bad"}
    world.rc("stop", "web")
    assert set(world.up()) == {"one", "bad"}


def test_a_failure_holds_up_only_what_needs_it(world: World) -> None:
    # SM-182
    world.oneshot("bad", "exit 7")
    world.oneshot("behind", None, None, "bad")
    world.oneshot("good")
    world.oneshot("none", "exec /no/such/program")
    world.bundle("all", "behind", "good", "none")
    world.begin()
    done = world.rc("change", "all", code=1)
    assert "bad: unable to start it: exit code 7" in done.stderr
    assert world.told() == ["up good"]
    assert world.up() == ["good"]
    done = world.rc("-pd", "change", "good", code=1)
    assert world.up() == []


def test_a_failed_way_down_lets_no_way_up_begin(world: World) -> None:
    # SM-178 (partly)
    world.oneshot("stays", None, "exit 1")
    world.oneshot("other")
    world.begin()
    world.rc("change", "stays")
    world.rc("-pu", "change", "other", code=1)
    assert world.up() == ["stays"]


def test_a_longrun_that_is_never_ready_is_told_to_stay_down(world: World) -> None:
    # SM-183 SM-170 (partly)
    world.longrun("never", "exec sleep 1000", notification_fd="3\n", timeout_up="300\n")
    world.oneshot("behind", None, None, "never")
    world.begin()
    assert "never: unable to start it: timed out" in world.rc("change", "behind", code=1).stderr
    world.tree.wait_for("finished", "never")
    world.tree.settle()
    assert not world.tree.status("never").wanted
    assert world.up() == []
    assert world.rc("diff").stdout == ""


def test_a_longrun_that_fails_for_good_is_a_failure_at_once(world: World) -> None:
    # SM-183 (partly)
    world.longrun("gone", "exit 1", notification_fd="3\n", finish="exit 125")
    world.begin()
    assert "failed for good" in world.rc("change", "gone", code=1).stderr


def test_a_oneshot_has_its_time_and_is_ended_after_it(world: World) -> None:
    # SM-170
    world.oneshot("slow", f"echo $$ >{world.base}/pid; exec sleep 1000", timeout_up="300\n")
    world.oneshot("stubborn", None, "exec sleep 1000", timeout_down="300\n")
    world.begin()
    assert "slow: unable to start it" in world.rc("change", "slow", code=1).stderr
    pid = int((world.base / "pid").read_text())
    deadline = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)
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


def test_a_dry_run_tells_all_and_changes_nothing(world: World) -> None:
    # SM-187
    chained(world)
    world.rc("change", "b")
    state = (world.live / "state").read_bytes()
    lines = world.rc("-n0", "change", "all").stdout.splitlines()
    assert all(line.startswith("rc-dryrun: ") for line in lines)
    assert f"rc-dryrun: svc -uwU -T 0 -- {world.live}/servicedirs/c # start c" in lines
    assert [line.rpartition(" ")[2] for line in lines if not line.endswith(" e")] == ["c", "d"]
    steps = json.loads(world.rc("-n0", "--json", "-pu", "change", "e").stdout)
    assert [(one["action"], one["service"]) for one in steps] == [
        ("stop", "b"),
        ("stop", "a"),
        ("start", "e"),
    ]
    assert (world.live / "state").read_bytes() == state
    assert set(world.up()) == {"a", "b"}
    assert world.run("rc-dryrun", "-t", "0", "some", "command").stdout == "rc-dryrun: some command\n"
    assert world.run("rc-dryrun", "-v0", "-t", "0", "x").stdout == ""
    assert world.run("rc-dryrun").returncode == 100


def test_a_second_change_is_refused_at_once_or_waits(world: World) -> None:
    # SM-188
    os.mkfifo(world.base / "go")
    world.oneshot("slow", f"echo begun >{world.tree.ear.path}; read -r line <{world.base}/go")
    world.oneshot("other")
    world.begin()
    changing = world.start("rc", "-l", world.live, "change", "slow")
    world.tree.ear.until("begun")
    assert "locked by another process" in world.rc("change", "other", code=111).stderr
    world.rc("-a", "list", code=111)
    waiting = world.start("rc", "-l", world.live, "-b", "change", "other")
    assert world.told() == []
    (world.base / "go").write_text("go\n")
    assert changing.wait(PATIENCE) == 0
    assert waiting.wait(PATIENCE) == 0
    assert set(world.up()) == {"slow", "other"}
    changing.communicate()
    waiting.communicate()


def test_scripts_run_from_the_tree_in_the_same_clean_environment_whoever_asks(world: World) -> None:
    # SM-189
    world.oneshot(
        "look",
        f"env | grep -v '^_=' | sort >{world.base}/env; echo $PPID >{world.base}/parent; pwd >{world.base}/cwd",
    )
    world.oneshot("chained", "unused")
    (world.source / "chained/up").write_text('foreground { redirfd -w 1 ${JOURNAL2} true } importas name RC_NAME redirfd -a 1 OUT sh -c "echo in a chain: $name" '.replace("${JOURNAL2}", "/dev/null").replace("OUT", str(world.journal)))  # fmt: skip
    world.begin()
    found = []
    for caller in ("first", "second"):
        world.rc("change", "look")
        found.append((world.base / "env").read_text())
        world.run(
            "rc", "-l", world.live, "-d", "change", "look", env={**world.tree.environment, "CALLER": caller}
        )
    assert found[0] == found[1]
    assert "RC_NAME=look\n" in found[0]
    assert "CALLER" not in found[0]
    assert int((world.base / "parent").read_text()) == world.pid("s6rc-oneshot-runner")
    assert (world.base / "cwd").read_text().strip().endswith("servicedirs/s6rc-oneshot-runner")
    world.rc("change", "chained")
    assert world.told()[-1] == "in a chain: chained"


def test_a_script_has_the_callers_descriptors(world: World) -> None:
    # SM-189 (partly)
    world.oneshot("talks", "echo to standard output; echo to standard error >&2; cat")
    world.begin()
    reading, writing = os.pipe()
    os.write(writing, b"from standard input\n")
    os.close(writing)
    done = world.run("rc", "-l", world.live, "change", "talks", stdin=reading)
    os.close(reading)
    assert done.returncode == 0
    assert done.stdout == "to standard output\nfrom standard input\n"
    assert done.stderr == "to standard error\n"


def test_a_script_can_be_run_by_hand(world: World) -> None:
    # SM-189 (partly)
    world.oneshot("one", "echo $RC_NAME; exit 5")
    world.begin()
    done = world.run("rc-oneshot-run", "-l", world.live, "up", "2")
    assert (done.returncode, done.stdout) == (5, "one\n")
    assert world.run("rc-oneshot-run", "-l", world.live, "up", "0").returncode == 3
    assert world.run("rc-oneshot-run", "-l", world.live, "up", "9").returncode == 3
    assert world.run("rc-oneshot-run", "-l", world.live, "sideways", "2").returncode == 100


def test_only_who_may_can_have_scripts_run(world: World) -> None:
    # SM-189 (partly)
    world.oneshot("one")
    world.begin()
    world.rc("start", "s6rc-oneshot-runner")
    rules = world.servicedir("s6rc-oneshot-runner") / "data/rules"
    for path in (rules / "uid/self", rules / "uid/0/allow", rules / "gid/0/allow"):
        path.unlink()
    assert "hung up" in world.rc("change", "one", code=1).stderr
    assert world.told() == []


def test_a_pipeline_keeps_its_pipe_when_both_ends_are_restarted(world: World) -> None:
    # SM-171 SM-190
    world.longrun(
        "log",
        "while read -r line; do echo $line >>$JOURNAL; echo $line >$EAR; done",
        consumer_for="count\n",
        pipeline_name="line\n",
    )
    world.longrun(
        "count",
        f"n=$(cat {world.base}/n); while read -r go; do n=$((n+1)); echo $n >{world.base}/n; echo $n; done <{world.base}/go",
        producer_for="log\n",
    )
    (world.base / "n").write_text("0\n")
    os.mkfifo(world.base / "go")
    go = Ear(world.base / "hold")  # an open end, so that the producer's input never ends
    fd = os.open(world.base / "go", os.O_RDWR | os.O_CLOEXEC)
    try:
        world.begin()
        world.rc("change", "line")
        assert set(world.up()) == {"log", "count"}
        assert world.tree.status("count").changed >= world.tree.status("log").changed, (
            "the consumer came first"
        )
        os.write(fd, b"go\n")
        world.tree.ear.until("1")
        world.tree.ours("svc", "-wD", "-d", world.tree.scandir / "log")
        os.write(fd, b"go\n")
        wait_text(world.base / "n", "2\n")
        world.tree.ours("svc", "-wr", "-k", world.tree.scandir / "count")
        os.write(fd, b"go\n")
        wait_text(world.base / "n", "3\n")
        world.tree.ours("svc", "-wu", "-u", world.tree.scandir / "log")
        world.tree.ear.until("3")
        assert world.told() == ["1", "2", "3"]
        world.rc("-d", "change", "log")
        assert world.up() == [], "a producer does not outlive its consumer"
    finally:
        os.close(fd)
        go.close()


def wait_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while path.read_text() != text:
        assert time.monotonic() < deadline, path.read_text()
        select.select([], [], [], 0.005)


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
        deadline = time.monotonic() + PATIENCE
        while children(world.pid(RUNNER)):
            assert time.monotonic() < deadline
            select.select([], [], [], 0.002)
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


def test_a_picture_shows_bundles_states_and_the_critical_path(world: World) -> None:
    world.oneshot("quick")
    world.oneshot("slow", "sleep 0.3")
    world.oneshot("last", None, None, "quick", "slow")
    world.bundle("all", "last", "quick")
    world.bundle("same", "all")
    world.bundle("more", "slow", "all")
    world.begin()
    assert "lightgray" in world.rc("graph").stdout
    world.rc("change", "all")
    text = world.rc("graph", "all").stdout
    lines = {
        line.split('"')[1].split("\\n")[0]: line for line in text.splitlines() if "shape=ellipse" in line
    }
    assert all("palegreen" in line for line in lines.values())
    assert [name for name, line in sorted(lines.items()) if "firebrick" in line] == ["last", "slow"]
    assert 'label="all, same"' in text, "one frame for both"
    assert 'label="more\\nalso last quick"' in text
    assert "s6rc" not in text
    dot = world.base / "dot"
    dot.write_text('#!/bin/sh\necho "$*"\nexec cat\n')
    dot.chmod(0o755)
    environment = {**world.tree.environment, "PATH": f"{world.base}:{os.environ['PATH']}"}
    drawn = world.run("rc", "-l", world.live, "--svg", "graph", "all", env=environment)
    assert (drawn.returncode, drawn.stdout) == (0, f"-Tsvg\n{text}")


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
