"""Orders to process 1, moments, run-levels, logins: the words of the end and of the beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from initfs.pid1 import logins, moments, mounts, orders, parameters, renewal, skeleton, surroundings
from initfs.pid1.orders import Cancel, End, Failsafe
from initfs.pid1.parameters import Parameters
from initfs.pid1.renewal import Failures
from initfs.supervise import luggage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.orders import Order

ENDS = some.builds(
    End, some.sampled_from(["halt", "poweroff", "reboot", "single"]), some.integers(0, 86400).map(float),
    some.integers(0, 300).map(float),
)  # fmt: skip
ORDERS = some.one_of(ENDS, some.just(Cancel()), some.just(Failsafe()))


@given(some.lists(ORDERS, max_size=6), some.integers(1, 30))
def test_orders_arrive_as_they_were_sent_in_whatever_pieces(sent: list[Order], piece: int) -> None:
    # INI-208 (partly)
    data = b"".join(map(orders.encode, sent))
    found: list[Order] = []
    rest = b""
    for at in range(0, len(data), piece):
        more, rest, wrong = orders.decode(rest + data[at : at + piece])
        found += more
        assert not wrong
    assert (found, rest) == (sent, b"")


@given(some.binary(max_size=100))
def test_no_bytes_are_an_order_that_nobody_gave(data: bytes) -> None:
    found, rest, wrong = orders.decode(data)
    assert len(data) == wrong + len(rest) + sum(len(orders.encode(order)) for order in found)
    assert all(0 <= order.grace <= 300 for order in found if isinstance(order, End))


def test_an_order_of_shutdownd_s_own_protocol_is_understood() -> None:
    sixty = b"r" + (2**62 + 60).to_bytes(8, "big") + bytes(4) + (1500).to_bytes(4, "big")
    assert orders.decode(sixty + b"c") == ([End("reboot", 60.0, 1.5), Cancel()], b"", 0)


NOON = 12 * 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", 0), ("+0", 0), ("5", 300), ("+5", 300), ("12:00", 0), ("12:01", 60), ("11:59", 86400 - 60), ("0:00", 12 * 3600),
        ("25:00", None), ("12:60", None), ("12:1", None), ("001:00", None), ("", None), ("soon", None), ("+", None), ("-5", None),
        ("99999999999", None), ("1:", None), (":10", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_a_time_is_now_or_minutes_or_a_time_of_day_tomorrow_if_past(text: str, seconds: int | None) -> None:
    # INI-208 (partly)
    assert moments.until(text, NOON) == seconds


def test_shutdown_allow_lets_those_who_are_logged_in() -> None:
    # INI-208 (partly)
    content = b"# those who may\nalice\n\n bob # at night\n"
    assert moments.allowed(content, {"bob"}) is True
    assert moments.allowed(content, {"carol"}) is False
    assert moments.allowed(b"", {"alice"}) is False
    assert moments.allowed(b"x\n" * 65, {"alice"}) is None
    assert moments.allowed(b"#" * 4096, {"alice"}) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("quiet root=/dev/sda 3 default", Parameters(level="3")),
        ("initfs.default=maintenance 3", Parameters(level="maintenance")),
        ("initfs.failsafe initfs.watchdog=30", Parameters(failsafe=True, watchdog=30)),
        ("initfs.watchdog=x initfs.emergency=dance", Parameters()),
        ("initfs.watchdog=99999999 initfs.emergency=reset", Parameters(watchdog=86400, emergency="reset")),
        ("initfs.watchdog=5 initfs.watchdog=7 initfs.verbose", Parameters(watchdog=7, verbose=True)),
        ("6 0", Parameters()),
    ],
)
def test_the_kernel_s_command_line_asks_for_what_the_table_says(line: str, expected: Parameters) -> None:
    # INI-206 (partly)
    assert parameters.parse(line) == expected


@given(some.text())
def test_no_command_line_keeps_a_machine_from_booting(line: str) -> None:
    assert isinstance(parameters.parse(line), Parameters)


def test_the_kernel_s_environment_is_what_neither_the_shell_nor_we_have_made() -> None:
    # INI-205 (partly)
    given = {
        "HOME": "/",
        "TERM": "linux",
        "PATH": "/usr/bin",
        "INITFS_INIT": "/init",
        "PYTHONHASHSEED": "0",
        "colour": "red",
    }
    assert surroundings.kernels(given) == {"HOME": "/", "TERM": "linux", "colour": "red"}


@pytest.mark.parametrize("wide", [False, True])
def test_a_mark_in_wtmp_reads_as_it_was_written(wide: bool) -> None:
    # INI-216 (partly)
    record = logins.mark(logins.RUN_LEVEL, "shutdown", "6.1.0", 1_700_000_000_000_000_000, wide=wide)
    assert len(record) == (400 if wide else 384)
    assert logins.read(record, wide=wide) == [logins.Login(1, 0, "~", "shutdown")]
    assert logins.users(logins.read(record + b"short", wide=wide)) == []


def test_three_failures_within_a_minute_are_hopeless_and_a_minute_s_peace_is_a_new_beginning() -> None:
    # INI-214 (partly)
    one = renewal.failed(Failures(), 10.0)
    two = renewal.failed(one, 20.0)
    three = renewal.failed(two, 79.9)
    assert [each.count for each in (one, two, three)] == [1, 2, 3]
    assert [each.suspicious for each in (one, two)] == [False, True]
    assert [each.hopeless for each in (one, two, three)] == [False, False, True]
    assert renewal.failed(two, 80.0) == Failures(80.0, 1)
    assert renewal.read({renewal.AGAIN: f"{two.when} {two.count}"}) == two
    assert renewal.read({renewal.AGAIN: "junk"}) == renewal.read({}) == Failures()


@given(
    some.dictionaries(
        some.text(), some.one_of(some.floats(allow_nan=False), some.text(), some.binary()), max_size=5
    )
)
def test_luggage_is_read_as_it_was_packed_and_a_changed_bit_is_noticed(values: dict[str, object]) -> None:
    data = luggage.pack(values)
    assert luggage.unpack(data) == values
    for at in range(0, len(data), 7):
        spoilt = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        with pytest.raises(luggage.Unreadable):
            luggage.unpack(spoilt)
    with pytest.raises(luggage.Unreadable):
        luggage.unpack(data[:-1])


def test_mounts_go_in_reverse_and_what_lies_on_top_of_a_kept_one_goes_too() -> None:
    # INI-215 (partly)
    table = "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\nrun /run tmpfs rw 0 0\nd /data\\040x ext4 rw 0 0\nrun /run tmpfs rw 0 0\n"
    assert mounts.to_unmount(mounts.mounted(table)) == ["/run", "/data x"]


def test_a_stage_1_without_a_place_for_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="no settings"):
        skeleton.stage1("#!/bin/sh\n", skeleton.Design())
