"""What comes over the sockets of a machine: events, the console, the agent's answers, QMP."""

from __future__ import annotations

import base64
import json

import pytest

from qemu import agent, monitor
from qemu.console import Console, trouble
from qemu.events import History, Lines, concerns, parse
from qemu.image import announcing


def line(seq: int, event: str, service: str = "", boot: str = "b") -> str:
    return json.dumps(
        {
            "seq": seq,
            "boot": boot,
            "time": seq / 10,
            "service": service,
            "event": event,
            "pid": 0,
            "reason": "",
        }
    )


def history(*lines: str) -> History:
    told = History()
    for each in lines:
        event = parse(each)
        assert event
        told.add(event)
    return told


def test_a_stream_is_cut_into_lines_however_it_arrives() -> None:
    lines = Lines()

    assert lines.feed(b"one\r\ntw") == ["one"]
    assert lines.feed(b"o\n\nthree\n") == ["two", "three"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"seq": 1}', '{"seq": "x", "boot": "b"}'])
def test_what_is_not_an_event_is_not_taken_for_one(text: str) -> None:
    assert parse(text) is None


def test_an_event_that_comes_twice_is_kept_once() -> None:
    told = history(
        line(1, "stage1"), line(2, "python"), line(1, "stage1"), line(2, "python"), line(3, "tree")
    )

    assert [event.event for event in told.events] == ["stage1", "python", "tree"]


def test_a_new_boot_counts_anew() -> None:
    assert len(history(line(1, "stage1"), line(1, "stage1", boot="c")).events) == 2


@pytest.mark.parametrize(
    ("name", "wanted", "answer"),
    [
        ("getty_ttyAMA0", "getty", True),
        ("getty", "getty", True),
        ("getty_ttyAMA0", "getty_ttyAMA0", True),
        ("getty_ttyAMA0/log", "getty", False),
        ("gettyx", "getty", False),
        ("dhcp_eth0", "dhcp_eth1", False),
    ],
)
def test_a_service_is_meant_by_its_name_or_by_that_of_its_template(
    name: str, wanted: str, answer: bool
) -> None:
    assert concerns(name, wanted) is answer


def test_a_wait_without_a_service_is_for_a_milestone() -> None:
    told = history(line(1, "up", "stopping"), line(2, "stopping"))

    found = told.find("stopping")

    assert found
    assert found.seq == 2


def test_what_was_before_a_mark_is_not_found_after_it() -> None:
    told = history(line(1, "ready", "getty_x"), line(2, "down", "getty_x"))

    assert told.find("ready", "getty")
    assert told.find("ready", "getty", after=1) is None


def test_a_service_is_ready_until_it_goes_down() -> None:
    told = history(line(1, "up", "web"), line(2, "ready", "web"))
    assert told.ready("web")

    told = history(
        line(1, "up", "web"), line(2, "ready", "web"), line(3, "down", "web"), line(4, "up", "web")
    )
    assert not told.ready("web")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[    9.1] Kernel panic - not syncing: sysrq triggered crash", "kernel panic"),
        ("[    1.0] Internal error: Oops: 0000000096000045 [#1] SMP", "kernel oops"),
        ("[    1.0] Oops: 0002 [#1] PREEMPT SMP PTI", "kernel oops"),
        ("[    1.0] Oops [#1]", "kernel oops"),
        ("Oops[#1]:", "kernel oops"),
        ("[    1.0] BUG: kernel NULL pointer dereference, address: 0", "kernel bug"),
        ("[    1.0] kernel BUG at mm/slub.c:440!", "kernel bug"),
        ("[    5.0] Out of memory: Killed process 77 (python3)", "out of memory"),
        ("Traceback (most recent call last):", "Python traceback"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", ""),
        ("Oops, wrong password", ""),
        ("login:", ""),
    ],
)
def test_trouble_on_a_console_is_known_by_its_line(text: str, kind: str) -> None:
    assert trouble(text) == kind


def test_trouble_is_found_when_it_arrives_in_pieces() -> None:
    console = Console()
    for piece in (b"fine\r\nKernel pa", b"nic - not syn", b"cing: no init\r\n"):
        console.feed(piece)

    assert console.trouble == "kernel panic: Kernel panic - not syncing: no init"


def test_trouble_in_a_last_line_without_end_is_found_at_the_end() -> None:
    console = Console()
    console.feed(b"Kernel panic - not syncing: x")
    assert not console.trouble

    console.close()

    assert console.trouble


def test_the_first_trouble_is_the_one_that_is_told() -> None:
    console = Console()
    console.feed(b"BUG: first\nKernel panic - not syncing: second\n")

    assert console.trouble.startswith("kernel bug")


def test_a_command_line_of_text_is_for_the_shell_of_the_guest() -> None:
    assert agent.argv("echo $HOME") == ["/bin/sh", "-c", "echo $HOME"]
    assert agent.argv(["echo", "$HOME"]) == ["echo", "$HOME"]


def test_standard_input_is_sent_in_pieces_and_ended_with_the_last() -> None:
    data = b"x" * (agent.CHUNK + 1)

    start, *pieces = [json.loads(each) for each in agent.request(7, ["cat"], 5.0, {}, data)]

    assert start == {"id": 7, "run": ["cat"], "timeout": 5.0, "env": {}, "stdin": True}
    assert b"".join(base64.b64decode(each["stdin"]) for each in pieces) == data
    assert [each["eof"] for each in pieces] == [False, True]


def answer(ident: int, **more: object) -> str:
    return json.dumps({"id": ident, **more})


def test_answers_find_their_command() -> None:
    jobs = agent.Jobs()
    (one, first), (two, second) = jobs.new(), jobs.new()
    for each in (
        answer(two, stdout="dHdv"),
        answer(one, stdout="b25l"),
        answer(one, exit=0),
        answer(two, exit=7),
    ):
        jobs.heard(each)

    assert first.result == agent.Result(0, "one", "")
    assert second.result == agent.Result(7, "two", "")


def test_a_signal_is_negative_and_a_shell_would_call_it_128_more() -> None:
    jobs = agent.Jobs()
    number, job = jobs.new()
    jobs.heard(answer(number, signal=9))

    assert job.result
    assert (job.result.returncode, job.result.status) == (-9, 137)


def test_what_cannot_be_run_says_so_on_its_standard_error() -> None:
    jobs = agent.Jobs()
    number, job = jobs.new()
    jobs.heard(answer(number, error="unable to run nix: No such file or directory", exit=127))

    assert job.result == agent.Result(127, "", "agent: unable to run nix: No such file or directory\n")


def test_a_greeting_loses_what_ran_and_not_what_waits_in_the_port_for_the_new_agent() -> None:
    jobs = agent.Jobs()
    (ran, running), (_, waiting) = jobs.new(), jobs.new()
    jobs.heard(answer(ran, started=77))

    jobs.heard('{"agent": "initfs.agent"}')

    assert running.lost
    assert not waiting.lost


def test_torn_lines_of_the_agent_are_nobodys() -> None:
    jobs = agent.Jobs()
    _, job = jobs.new()
    jobs.heard('"}')

    assert job.result is None


def test_the_first_reason_of_an_end_is_kept() -> None:
    told = monitor.Monitor()
    for reason in ("guest-reset", "host-qmp-quit"):
        told.heard(json.dumps({"event": "SHUTDOWN", "data": {"guest": True, "reason": reason}}))

    assert told.stopped == "guest-reset"


def test_forwards_are_read_from_what_qemu_shows() -> None:
    shown = (
        "Hub -1 (net0):\r\n"
        "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
        "  TCP[ESTABLISHED]   17       127.0.0.1  9999       10.0.2.15    80     0     0\r\n"
        "  TCP[HOST_FORWARD]  16       127.0.0.1 40417       10.0.2.15    80     0     0\r\n"
        "  TCP[HOST_FORWARD]  15       127.0.0.1 40419               *    22     0     0\r\n"
    )

    assert monitor.forwards(shown) == {80: 40417, 22: 40419}


def test_services_that_announce_readiness_are_known_from_the_files_of_an_image() -> None:
    files = [
        "/etc/initfs/early/getty_ttyAMA0/notification-fd",
        "etc/initfs/service/httpd/notification-fd",
        "etc/initfs/service/spare/notification-fd",
        "etc/initfs/service/spare/down",
        "etc/initfs/service/mute/run",
        "etc/initfs/service/web/log/notification-fd",
    ]

    assert announcing(files) == {"getty_ttyAMA0", "httpd"}
