"""Changing the live state."""

from __future__ import annotations

import json
import os
import signal

from tests.process.manager_world import INTERNAL, World, chained
from tests.process.waiting import PATIENCE


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
