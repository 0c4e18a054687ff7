"""Whether to feed, what is a failure, how boots are counted, why the last one ended: the decisions of a machine that nobody visits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.pid1 import boots, button, failures, memory, previous, watchdog
from initfs.pid1.boots import Record
from initfs.pid1.watchdog import BOOT, DOWN, END, HEALTHY, View

UP = View(began=10.0, booted=20.0)


@pytest.mark.parametrize(
    ("view", "now", "fed"),
    [
        (View(began=10.0), 10.0 + BOOT, True),
        (View(began=10.0), 10.1 + BOOT, False),
        (UP, 1e9, True),
        (View(10.0, 20.0, 0.0, {"net": 100.0}), 100.0 + DOWN, True),
        (View(10.0, 20.0, 0.0, {"net": 100.0, "web": 39.9}), 100.0, False),
        (View(10.0, 0.0, 50.0, {"net": 1.0}), 50.0 + END, True),
        (View(10.0, 20.0, 50.0), 50.1 + END, False),
    ],
)
def test_the_watchdog_is_fed_while_the_machine_makes_sense(view: View, now: float, fed: bool) -> None:
    assert (watchdog.refusal(view, now) == "") == fed


@given(some.floats(1, 1e6))
def test_there_is_time_for_three_meals_unless_a_second_is_all_there_is(timeout: float) -> None:
    assert watchdog.interval(timeout) * 2 < timeout or timeout <= 1.0
    assert watchdog.interval(timeout) >= 0.5


def test_a_boot_is_healthy_when_it_was_well_for_a_while() -> None:
    assert not watchdog.healthy(View(began=1.0), 1e6)
    assert not watchdog.healthy(UP, 19.9 + HEALTHY)
    assert watchdog.healthy(UP, 20.0 + HEALTHY)
    assert not watchdog.healthy(View(10.0, 20.0, 0.0, {"net": 30.0}), 1e6)
    assert not watchdog.healthy(View(10.0, 20.0, 60.0), 1e6)


def test_five_deaths_in_a_minute_are_a_failure_and_then_counting_begins_anew() -> None:
    tally: tuple[float, ...] = ()
    verdicts = []
    for when in (0.0, 10.0, 20.0, 30.0, 40.0, 41.0):
        tally, failed = failures.died(tally, when)
        verdicts.append(failed)
    assert verdicts == [False, False, False, False, True, False]
    assert tally == (41.0,)


@given(some.lists(some.floats(15.0, 1e4)))
def test_deaths_that_are_rare_are_never_a_failure(gaps: list[float]) -> None:
    tally: tuple[float, ...] = ()
    now = 0.0
    for gap in gaps:
        now += gap
        tally, failed = failures.died(tally, now)
        assert not failed
        assert len(tally) < failures.OFTEN


@pytest.mark.parametrize(("content", "policy"), [(b"reboot\n", "reboot"), (b" failsafe", "failsafe"), (b"restart", "restart"), (b"", None), (b"panic", None)])  # fmt: skip
def test_on_failure_is_one_of_three_words(content: bytes, policy: str | None) -> None:
    assert failures.policy(content) == policy


def test_the_fourth_boot_after_three_that_never_became_healthy_is_a_failsafe_one() -> None:
    record = Record()
    verdicts = []
    for _ in range(5):
        record, why, failsafe = boots.begin(boots.decode(boots.encode(record)))
        verdicts.append(failsafe)
    assert verdicts == [False, False, False, True, False]
    assert why == boots.SUDDEN


def test_a_healthy_boot_and_one_that_somebody_ended_do_not_count() -> None:
    record, _, _ = boots.begin(Record(2, "begun"))
    assert boots.healthy(record).unhealthy == 0
    assert boots.end(record, "somebody asked for it").unhealthy == 2
    _, why, _ = boots.begin(boots.end(boots.healthy(record), "a reboot"))
    assert why == "a reboot"


@given(some.binary(max_size=60))
def test_a_damaged_record_is_as_good_as_none(data: bytes) -> None:
    record = boots.decode(data)
    assert 0 <= record.unhealthy <= 1000
    assert record.state in boots.STATES


PANIC = "<0>[    9.1] Kernel panic - not syncing: sysrq triggered crash\n<0>[    9.2] CPU: 0 PID: 1"


@pytest.mark.parametrize(
    ("messages", "fired", "words"),
    [
        ({}, False, ""),
        ({"dmesg-ramoops-0": PANIC, "pmsg-ramoops-0": "initfs: the machine ends: reboot\n"}, True, "panicked: sysrq triggered crash"),
        ({"pmsg-ramoops-0": "a line\ninitfs: the machine ends: reboot\n"}, True, "watchdog"),
        ({"pmsg-ramoops-0": "a line\ninitfs: the machine ends: reboot\n"}, False, "somebody asked for it: reboot"),
        ({"dmesg-efi-1": "[1.0] BUG: unable\n[1.1] Oops: 0002 [#1] SMP\n"}, False, "the kernel failed: Oops: 0002 [#1] SMP"),
        ({"console-ramoops-0": "x"}, False, ""),
    ],
)  # fmt: skip
def test_what_survived_tells_why_the_previous_boot_ended(
    messages: dict[str, str], fired: bool, words: str
) -> None:
    assert words in previous.why(messages, watchdog=fired)
    assert bool(words) == bool(previous.why(messages, watchdog=fired))


def test_a_key_is_held_when_its_bit_is_set() -> None:
    bits = bytearray(96)
    assert not button.held(bytes(bits), button.KEYS)
    bits[0x198 // 8] |= 1 << 0x198 % 8
    assert button.held(bytes(bits), button.KEYS)
    assert not button.held(bytes(bits), (0x197, 0x199, 9999))


@pytest.mark.parametrize(
    ("swaps", "meminfo", "worth"),
    [
        ("Filename\tType\n/dev/sda2 partition 1 0 -2\n", "MemTotal:  131072 kB\n", True),
        ("Filename\tType\n", "MemTotal:  131072 kB\n", False),
        ("Filename\tType\n/dev/sda2 partition 1 0 -2\n", "MemFree: 9 kB\nMemTotal:  32768 kB\n", False),
        ("", "", False),
    ],
)
def test_memory_is_locked_where_it_could_be_swapped_and_there_is_enough(
    swaps: str, meminfo: str, worth: bool
) -> None:
    assert memory.worth_locking(swaps, meminfo) == worth
