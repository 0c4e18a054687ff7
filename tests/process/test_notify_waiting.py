"""svwait, svlisten and svlisten1 with a faked supervisor whose files are real; s6's svwait beside ours."""

from __future__ import annotations

import os
import random
import select

import pytest

from initfs import say
from initfs.loop import now
from initfs.supervise.status import DOWN, FINISH, RUN
from initfs.supervise.waiters import Services
from tests.process.notify_world import Arrivals, Fake, end, heard, ours, real, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib


@pytest.mark.parametrize(
    ("flag", "state", "letters"),
    [
        ("-u", DOWN, "u"),
        ("-U", DOWN, "uU"),
        ("-d", RUN, "d"),
        ("-D", RUN, "dD"),
        ("-r", RUN, "dDu"),
        ("-R", RUN, "dDuU"),
    ],
)
def test_svwait_waits_for_each_state(flag: str, state: int, letters: str, tmp_path: pathlib.Path) -> None:
    # SUP-064
    service = Fake(tmp_path / "s")
    service.status(state)
    event = [service.directory / "event"]
    assert heard(
        ours("svwait", flag, "-t9000", service.directory), event, lambda: service.become(letters)
    ) == (0, "", "")


@pytest.mark.parametrize(("flag", "state", "letters"), [("-r", DOWN, "u"), ("-R", FINISH, "DuU")])
def test_a_restart_of_what_is_down_is_its_start(
    flag: str, state: int, letters: str, tmp_path: pathlib.Path
) -> None:
    # SUP-064
    service = Fake(tmp_path / "s")
    service.status(state)
    told = ours("ftrig-notify", service.directory / "event", letters)
    assert run(ours("svlisten1", flag, "-t9000", service.directory, *told)) == (0, "", "")


def test_a_restart_told_in_one_write_is_seen(tmp_path: pathlib.Path) -> None:
    # SUP-064
    service = Fake(tmp_path / "s", up=True)
    told = heard(
        ours("svwait", "-rt9000", service.directory),
        [service.directory / "event"],
        lambda: service.tell("dDu"),
    )
    assert told == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "state", "ready"),
    [("-u", RUN, False), ("-U", RUN, True), ("-d", FINISH, False), ("-D", DOWN, False)],
)
def test_svwait_returns_at_once_when_it_is_so_already(
    flag: str, state: int, ready: bool, tmp_path: pathlib.Path
) -> None:
    # SUP-064
    service = Fake(tmp_path / "s")
    service.status(state, ready=ready)
    assert run(ours("svwait", flag, service.directory)) == (0, "", "")


def test_all_services_or_one(tmp_path: pathlib.Path) -> None:
    # SUP-064
    one, two = Fake(tmp_path / "one"), Fake(tmp_path / "two")
    events = [one.directory / "event", two.directory / "event"]
    assert heard(ours("svwait", "-o", one.directory, two.directory), events, lambda: two.become("u"))[0] == 0
    assert run(ours("svwait", "-at60", one.directory, two.directory))[0] == 99
    assert run(ours("svwait", "-o", one.directory, two.directory))[0] == 0


def test_no_service_is_waited_for_in_no_time() -> None:
    assert run(ours("svwait")) == (0, "", "")


def test_a_timeout_is_99_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    # SUP-064
    service = Fake(tmp_path / "s")
    assert run(ours("svwait", "-t", "50", service.directory)) == (99, "", "svwait: fatal: timed out\n")
    assert list((service.directory / "event").iterdir()) == []


def test_more_services_than_the_soft_limit_of_descriptors(tmp_path: pathlib.Path) -> None:
    # SUP-064
    services = [Fake(tmp_path / str(index), up=True) for index in range(60)]
    command = ours("svwait", "-ut9000", *[service.directory for service in services])
    assert run(["sh", "-c", 'ulimit -Sn 48; exec "$@"', "sh", *command]) == (0, "", "")
    for service in services:
        service.die()
    assert run(["sh", "-c", 'ulimit -n 9; exec "$@"', "sh", *ours("svwait", services[0].directory)])[0] == 102


def test_the_exit_code_counts_the_services_that_failed_for_good(tmp_path: pathlib.Path) -> None:
    # SUP-067
    services = [Fake(tmp_path / name) for name in "abc"]

    def fate() -> None:
        services[0].become("u")
        services[1].become("udOD")
        services[2].become("udOD")

    directories = [service.directory for service in services]
    assert heard(ours("svwait", "-t9000", "-U", *directories[1:2]), [directories[1] / "event"], fate)[0] == 1
    for service in services:
        service.become("dD")
    assert (
        heard(ours("svwait", "-U", *directories[1:]), [one / "event" for one in directories[1:]], fate)[0]
        == 2
    )


def test_a_supervisor_that_says_goodbye_is_102(tmp_path: pathlib.Path) -> None:
    # SUP-068
    service = Fake(tmp_path / "s")
    assert (
        heard(ours("svwait", service.directory), [service.directory / "event"], lambda: service.tell("x"))[0]
        == 102
    )


@pytest.mark.parametrize("words", [["svwait", "-t9000"], ["svwait", "-ot9000"]])
def test_a_supervisor_that_is_killed_says_nothing_and_is_102_too(
    words: list[str], tmp_path: pathlib.Path
) -> None:
    # SUP-068
    service = Fake(tmp_path / "s")
    assert heard(ours(*words, service.directory), [service.directory / "event"], service.die)[0] == 102


def test_what_a_supervisor_said_last_counts_before_its_death(tmp_path: pathlib.Path) -> None:
    service = Fake(tmp_path / "s", up=True)

    def last() -> None:
        service.become("dDx")
        service.die()

    assert heard(ours("svwait", "-D", service.directory), [service.directory / "event"], last)[0] == 0


def test_without_a_supervisor_it_is_102_and_nothing_is_made(tmp_path: pathlib.Path) -> None:
    # SUP-068
    service = Fake(tmp_path / "s")
    service.die()
    for directory in (service.directory, tmp_path, tmp_path / "nothing"):
        code, _, said = run(ours("svwait", directory))
        assert (code, said) == (102, f"svwait: fatal: {directory} is not supervised\n")
    assert list((service.directory / "event").iterdir()) == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


def test_an_event_directory_that_was_removed_is_made_again(tmp_path: pathlib.Path) -> None:
    service = Fake(tmp_path / "s")
    (service.directory / "event").rmdir()
    assert run(ours("svlisten1", "-t40", service.directory, "true"))[0] == 99
    assert (service.directory / "event").stat().st_mode & 0o7777 == 0o3730


@pytest.mark.parametrize("content", [b"", bytes(20), b"\xff" * 34])
def test_a_status_file_that_says_nothing_is_111(content: bytes, tmp_path: pathlib.Path) -> None:
    service = Fake(tmp_path / "s")
    (service.directory / "supervise/status").write_bytes(content)
    assert run(ours("svwait", service.directory))[0] == 111


@pytest.mark.parametrize(("letters", "code"), [("uU", 0), ("udOD", 1), ("x", 102), ("u", 99)])
def test_svlisten1_listens_before_it_runs_the_program(
    letters: str, code: int, tmp_path: pathlib.Path
) -> None:
    # SUP-065
    service = Fake(tmp_path / "s")
    told = ours("ftrig-notify", service.directory / "event", letters)
    options = ["-U", "-t300"] if code == 99 else ["-U", "-t9000"]
    assert run(ours("svlisten1", *options, service.directory, *told))[0] == code


def test_svlisten_takes_words_up_to_an_empty_one(tmp_path: pathlib.Path) -> None:
    # SUP-066
    one, two = Fake(tmp_path / "one"), Fake(tmp_path / "two")
    script = " && ".join(" ".join(ours("ftrig-notify", fake.directory / "event", "u")) for fake in (one, two))
    block = [one.directory, f" {two.directory}", ""]
    assert run(ours("svlisten", "-u", "-t9000", *block, "sh", "-c", script)) == (0, "", "")
    assert run(ours("svlisten", "-u", "-t60", *block, "true"))[0] == 99


def test_svlisten_of_nothing_becomes_the_program() -> None:
    # SUP-066
    assert run(ours("svlisten", "-u", "", "sh", "-c", "exit 7"))[0] == 7


def test_one_restarted_service_of_two_is_not_enough_even_with_o(tmp_path: pathlib.Path) -> None:
    # SUP-066
    one, two = Fake(tmp_path / "one", up=True), Fake(tmp_path / "two", up=True)
    told = ours("ftrig-notify", one.directory / "event", "dDu")
    code, _, said = run(ours("svlisten", "-ort300", one.directory, two.directory, "", *told))
    assert code == 99
    assert "svlisten: warning: -o has no meaning" in said


@pytest.mark.parametrize(
    "words",
    [
        ["svlisten1", "-a", "s", "true"],
        ["svlisten1", "s"],
        ["svlisten", "s", "true"],
        ["svlisten", "s", ""],
        ["svwait", "-x"],
    ],
)
def test_wrong_usage_is_100(words: list[str]) -> None:
    code, _, said = run(ours(*words))
    assert code == 100
    assert "usage: " in said


def test_a_program_that_cannot_be_run_is_127(tmp_path: pathlib.Path) -> None:
    service = Fake(tmp_path / "s")
    assert run(ours("svlisten1", service.directory, "./nothing"))[0] == 127
    assert list((service.directory / "event").iterdir()) == []


def test_no_event_is_lost_in_ten_thousand_rounds(tmp_path: pathlib.Path) -> None:
    """In each round a supervisor makes one transition while we subscribe, read the status and listen; then it is still.

    Were the letter sent before the status were written, or the status read before the subscription, a round would end
    by its deadline.
    """
    # NOT-145
    service = Fake(tmp_path / "s")
    asked, ask = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ask)
        while letters := os.read(asked, 3):
            service.become(letters.strip().decode())
        os._exit(0)
    os.close(asked)
    chance = random.Random(1)
    wanted = {"u": b"u  ", "U": b"U  ", "d": b"d  ", "D": b"D  "}
    try:
        for turn in range(10_000):
            state = "uUdD"[turn % 4]
            os.write(ask, wanted[state])
            for _ in range(chance.randrange(300)):
                pass  # begin at another moment of the transition
            with Services([str(service.directory)], state) as services:
                assert services.wait(now() + 5) == say.OK
    finally:
        os.close(ask)
        os.waitpid(pid, 0)
    assert list((service.directory / "event").iterdir()) == []


def test_forty_waiters_of_two_suites_miss_nothing_while_they_come(tmp_path: pathlib.Path) -> None:
    # NOT-145
    service = Fake(tmp_path / "s")
    command = [real("s6-svwait"), "-u", "-t9000", str(service.directory)]
    with Arrivals(service.directory / "event") as arrivals:
        waiters = [start(command) for _ in range(25)]
        waiters += [start(ours("svwait", "-ut9000", service.directory)) for _ in range(15)]
        arrivals.wait(3)
        service.become("u")  # some have subscribed, some are about to
        assert [end(waiter)[0] for waiter in waiters] == [0] * 40


def test_waiting_costs_nothing(tmp_path: pathlib.Path) -> None:
    """Never poll: while nothing happens, the process is not scheduled once."""
    service = Fake(tmp_path / "s")
    with Arrivals(service.directory / "event") as arrivals:
        waiter = start(ours("svwait", service.directory))
        arrivals.wait()
        used = [switches(waiter.pid)]
        while len(used) < 6 and used[-1] not in used[:-1]:
            select.select([], [], [], 0.5)  # the span in which a poller would show
            used.append(switches(waiter.pid))
        service.become("u")
        assert end(waiter)[0] == 0
    assert used[-1] == used[-2]


def switches(pid: int) -> list[str]:
    """How often the process was scheduled, as the kernel counts."""
    with open(f"/proc/{pid}/status") as file:
        return [line for line in file if "ctxt_switches" in line]
