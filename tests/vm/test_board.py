"""What every board does once it is up. The tests of a board share one boot."""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import TYPE_CHECKING
from urllib.request import urlopen

from bench import init
from board import crossenv, host, model
from qemu.times import times

if TYPE_CHECKING:
    from pathlib import Path

    from qemu.vm import Machine

LIMIT = 60.0  # seconds for what takes one


def output(vm: Machine, command: str) -> str:
    result = vm.run(command, timeout=LIMIT)
    assert result.returncode == 0, result
    return result.stdout


def test_the_milestones_of_a_boot_come_in_order(vm: Machine) -> None:
    # INI-219 INI-220 (partly)
    told = [event for event in vm.events if not event.service]

    assert [event.event for event in told][:5] == ["stage1", "python", "tree", "stage2", "booted"]
    assert [event.time for event in told] == sorted(event.time for event in told)
    assert told[4].reason == ""


def test_the_kernel_s_words_and_the_events_are_one_line_of_time(vm: Machine) -> None:
    # INI-220
    kernel, ours = init.kernel(output(vm, "dmesg")), times(vm.events)
    print(kernel | ours)

    assert [*kernel] == ["unpacked", "run"]
    assert ours.keys() >= {"init", "python", "tree", "getty", "booted"}
    assert (
        0 < kernel["unpacked"] <= kernel["run"] < ours["booted"]
    )  # /init's own clock is another: /proc/uptime
    assert 0 < ours["init"] <= ours["python"] <= ours["tree"] <= ours["booted"]


def test_no_event_is_lost(vm: Machine) -> None:
    told = vm.events

    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert len({event.boot for event in told}) == 1


def test_every_service_is_up(vm: Machine) -> None:
    lines = output(vm, "svstat /run/service/*").splitlines()

    assert len(lines) >= 5
    # one-shots have ended when they are done; pipes are held when somebody needs one
    assert [
        line
        for line in lines
        if not re.search(
            r": up \(pid \d+|/(fw|user-services): down \(exitcode 0\)|/s6rc-fdholder: down \(not started yet\)",
            line,
        )
    ] == []


def test_the_network_gives_an_address(vm: Machine) -> None:
    assert "10.0.2.15" in output(vm, "ip -4 addr show dev eth0")


def test_the_web_server_is_reached_from_the_host(vm: Machine) -> None:
    with urlopen(f"http://127.0.0.1:{vm.port(80)}/", timeout=LIMIT) as answer:
        assert answer.status == 200
        assert answer.read()


def test_a_getty_that_dies_comes_back(vm: Machine) -> None:
    mark = vm.mark()
    getty = vm.wait_for("ready", service="getty", timeout=LIMIT).service

    output(vm, f"svc -t /run/service/{getty}")

    down = vm.wait_for("down", service=getty, after=mark, timeout=LIMIT)
    ready = vm.wait_for("ready", service=getty, after=mark, timeout=LIMIT)
    assert down.seq < ready.seq
    assert down.pid != ready.pid


def test_process_1_has_at_most_4_mb_of_its_own(vm: Machine) -> None:
    status = output(vm, "cat /proc/1/status")

    anonymous = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert anonymous
    assert int(anonymous[1]) <= 4096


def test_process_1_is_our_python(vm: Machine) -> None:
    assert "python" in output(vm, "readlink /proc/1/exe")


def test_a_command_s_status_output_and_errors_come_back(vm: Machine) -> None:
    result = vm.run("echo out; echo err >&2; exit 7", timeout=LIMIT)

    assert (result.returncode, result.stdout, result.stderr) == (7, "out\n", "err\n")


def test_commands_run_at_the_same_time_and_read_what_they_are_given(vm: Machine) -> None:
    waiting = vm.begin("mkfifo /run/fifo && cat /run/fifo", timeout=LIMIT)
    data = b"0123456789abcdef" * 20_000

    assert vm.run(["md5sum"], stdin=data, timeout=LIMIT).stdout.split()[0] == hashlib.md5(data).hexdigest()
    assert output(vm, "until [ -p /run/fifo ]; do :; done; echo now >/run/fifo; rm /run/fifo") == ""
    assert vm.until("the waiting command", lambda: waiting.result, LIMIT).stdout == "now\n"


def test_the_agent_serves_a_host_that_comes_again(vm: Machine) -> None:
    writer = vm.session.writers["agent"]
    vm.loop.call_soon_threadsafe(writer.close)

    vm.until("the agent's port again", lambda: vm.session.writers["agent"] is not writer or None, LIMIT)

    assert output(vm, "echo again") == "again\n"


def test_the_agent_comes_back_when_it_is_killed(vm: Machine) -> None:
    mark = vm.mark()
    vm.begin("svc -k /run/service/agent", timeout=LIMIT)

    vm.wait_for("ready", service="agent", after=mark, timeout=LIMIT)

    assert output(vm, "echo again") == "again\n"


def test_an_extension_module_that_was_cross_built_is_imported(
    board: str, vm: Machine, tmp_path: Path
) -> None:
    source = shutil.copytree(host.ROOT / "tests/image/fixture/extension", tmp_path / "source")
    built = crossenv.install(crossenv.crossenv(model.load(board)), [str(source)], tmp_path / "out")
    put = vm.run(f"cat >/run/{built[0].name}", stdin=built[0].read_bytes(), timeout=LIMIT)
    assert put.returncode == 0, put
    code = "import sys; sys.path.insert(0, '/run'); import sum_extension; print(sum_extension.add(2, 3))"

    assert output(vm, f'python3 -IS -c "{code}"') == "5\n"
