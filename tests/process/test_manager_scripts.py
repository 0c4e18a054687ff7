"""What scripts of oneshots and pipelines of longruns have to do with the world: environment, descriptors, pipes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.process.local_world import until
from tests.process.waiting import Ear

if TYPE_CHECKING:
    from tests.process.manager_world import World


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


def test_a_script_has_a_process_group_of_its_own_so_what_it_does_to_that_does_not_hit_the_runner(
    world: World,
) -> None:
    # SM-189 (partly)
    look = "read -r pid name state parent group rest </proc/$$/stat; test $group = $$"
    world.oneshot("spawned", look)
    world.oneshot("forked", "unused")
    (world.source / "forked/up").write_text(f'foreground {{ true }} sh -c "{look}"\n')
    world.begin()
    world.rc("change", "spawned", "forked")


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
        until(lambda: (world.base / "n").read_text() == "2\n")
        world.tree.ours("svc", "-wr", "-k", world.tree.scandir / "count")
        os.write(fd, b"go\n")
        until(lambda: (world.base / "n").read_text() == "3\n")
        world.tree.ours("svc", "-wu", "-u", world.tree.scandir / "log")
        world.tree.ear.until("3")
        assert world.told() == ["1", "2", "3"]
        world.rc("-d", "change", "log")
        assert world.up() == [], "a producer does not outlive its consumer"
    finally:
        os.close(fd)
        go.close()
