"""The target's pure parts for disks: which disk is ours, slots, updates' headers, what may be put on the card."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from board.disk import equipment, loaders
from board.model import chained, load
from initfs.disk import bundle, identity, mark_good, offered, slots

WANTED = "ebe8c4bc-489b-4f46-8beb-3b0a771bbf48"
SIGNED = b"\x55\xaa"


def mbr(signature: int) -> bytes:
    return bytes(440) + signature.to_bytes(4, "little") + bytes(66) + SIGNED + bytes(512)


def gpt(guid: str) -> bytes:
    raw = bytes.fromhex(guid.replace("-", ""))
    mixed = raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]
    return bytes(510) + SIGNED + b"EFI PART" + bytes(48) + mixed + bytes(440)


def test_a_disk_is_known_by_its_gpt_s_guid_or_its_mbr_s_signature() -> None:
    assert identity.identity(gpt(WANTED)) == WANTED
    assert identity.identity(mbr(0xEBE8C4BC)) == "ebe8c4bc"
    assert identity.ours(gpt(WANTED), WANTED)
    assert identity.ours(mbr(0xEBE8C4BC), WANTED)


@pytest.mark.parametrize(
    "head", [b"", bytes(1024), mbr(1), gpt("00000000-0000-4000-8000-000000000000"), b"\xff" * 512]
)
def test_another_disk_is_not_ours(head: bytes) -> None:
    assert not identity.ours(head, WANTED)


def test_what_a_partition_has_is_told_by_its_start() -> None:
    ext4 = bytearray(4096)
    ext4[1024 + 56 : 1024 + 58] = b"\x53\xef"

    assert [identity.content(start) for start in (bytes(4096), bytes(ext4), b"x" * 4096)] == [
        "blank",
        "ext4",
        "unknown",
    ]


def test_the_board_s_file_is_read_without_a_shell() -> None:
    text = "BOARD=qemu-arm64\nDISK='a b'\n\n"
    assert identity.settings(text) == {"BOARD": "qemu-arm64", "DISK": "a b"}


# Slots


def test_slots_env_is_read_as_it_was_written() -> None:
    state = slots.Slots(("b", "a"), "good", "2")

    assert slots.parse(slots.text(state)) == state
    assert len(slots.text(state)) == slots.SIZE


def test_the_builder_and_the_target_mean_the_same_file() -> None:
    assert slots.parse(loaders.slots("a", a="3")) == slots.Slots(("a",), "3", "0")
    assert len(loaders.slots("a")) == slots.SIZE
    assert loaders.entry("b", "7", "quiet") == slots.entry("b", 7, "quiet")
    assert loaders.TRIES == slots.TRIES
    assert {"fit", "systemd-boot"} == equipment.SLOTS


@given(some.binary(max_size=600))
def test_any_slots_env_gives_slots_that_can_be_tried(content: bytes) -> None:
    state = slots.parse(content)

    assert state.order
    assert set(state.order) <= set(slots.SLOTS)
    assert all(left == slots.GOOD or left.isdigit() for left in (state.a, state.b))


def test_what_u_boot_wrote_ends_at_its_zero_byte() -> None:
    assert slots.parse(b"a_left=2\nb_left=0\norder=a\n\0order=b\nrest") == slots.Slots(("a",), "2", "0")


def test_a_slot_that_is_overwritten_is_tried_no_more_and_the_new_one_first() -> None:
    state = slots.Slots(("b", "a"), slots.GOOD, slots.GOOD)

    assert slots.without(state, "b") == slots.Slots(("a",), slots.GOOD, "0")
    assert slots.first(slots.without(state, "b"), "b") == slots.Slots(("b", "a"), slots.GOOD, "3")
    assert slots.with_left(slots.Slots(("b",), "0", "1"), "a", slots.GOOD).order == ("b", "a")


@pytest.mark.parametrize(
    ("cmdline", "slot"),
    [("quiet initfs.slot=b", "b"), ("initfs.slot=c", ""), ("", ""), ("xinitfs.slot=a", "")],
)
def test_the_running_slot_is_on_the_command_line(cmdline: str, slot: str) -> None:
    assert slots.slot_of(cmdline) == slot


def test_the_entries_of_a_slot_are_those_of_its_name_with_or_without_counters() -> None:
    names = ["a.conf", "a+2-1.conf", "b+3.conf", "ab.conf", "a.new", "abc+1.conf"]

    assert slots.entries(names, "a") == ["a+2-1.conf", "a.conf"]
    assert slots.version_of(slots.entry("a", 12, "quiet")) == 12
    assert slots.version_of(b"version x\n") == 0


# An update's header


def header(**changes: object) -> bytes:
    part = {"name": "slot.itb", "bytes": 5, "sha256": "0" * 64}
    return json.dumps(
        {"board": "b", "chain": "ab", "version": "1", "arguments": "quiet", "files": [part], **changes}
    ).encode()


def test_an_update_s_header_is_read() -> None:
    found = bundle.header(header())

    assert (found.board, found.parts) == ("b", (bundle.Part("slot.itb", 5, "0" * 64),))
    assert bundle.needed(found) == 5
    bundle.check(found, "b", "ab", {"slot.itb"})


@pytest.mark.parametrize(
    ("board", "chain", "parts", "said"),
    [
        ("c", "ab", {"slot.itb"}, "it is for the board b, this is c"),
        ("b", "disk", {"slot.itb"}, "it is for the boot chain ab, this is disk"),
        ("b", "ab", {"linux", "initrd.zst"}, "it has slot.itb, not initrd.zst linux"),
    ],
)
def test_an_update_for_another_machine_is_refused(board: str, chain: str, parts: set[str], said: str) -> None:
    with pytest.raises(bundle.Invalid) as caught:
        bundle.check(bundle.header(header()), board, chain, parts)

    assert str(caught.value) == said


def test_a_part_that_is_named_twice_is_refused() -> None:
    part = {"name": "linux", "bytes": 5, "sha256": "0" * 64}
    with pytest.raises(bundle.Invalid):
        bundle.check(bundle.header(header(files=[part, part])), "b", "ab", {"linux"})


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[]", b"\xff", header(board=3), header(version="\n"), header(files=[{}]), header(files=3),
        header(files=[{"name": "x", "bytes": 0, "sha256": "0" * 64}]),
        header(files=[{"name": "x", "bytes": 1, "sha256": "z" * 64}]),
    ],
)  # fmt: skip
def test_a_damaged_header_is_no_header(text: bytes) -> None:
    with pytest.raises(bundle.Invalid, match="damaged"):
        bundle.header(text)


@pytest.mark.parametrize(
    "line", [b"", b"initfs-update 1 5 5", b"initfs-update 2 5 5\n", b"initfs-update 1 5\n", b"initfs-update 1 0 5\n",
             b"initfs-update 1 99999999 5\n", b"initfs-update 1 -5 5\n", b"initfs-update 1 5 5 5\n"]
)  # fmt: skip
def test_a_first_line_that_is_not_ours_is_refused(line: bytes) -> None:
    with pytest.raises(bundle.Invalid):
        bundle.lengths(line)


def test_the_first_line_has_the_lengths() -> None:
    assert bundle.lengths(b"initfs-update 1 300 200\n") == (300, 200)


# The gateway


def test_the_default_route_s_gateway_is_read_from_the_kernel_s_table() -> None:
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
    lan = "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    default = "eth0\t00000000\t0202000A\t0003\t0\t0\t1020\t00000000\t0\t0\t0\n"

    assert mark_good.gateway(head + lan + default) == "10.0.2.2"
    assert mark_good.gateway(head + lan) == ""


# What is put on the card

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0000000000000000000000000000000000000000000 me"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hostname", "router-7\n"), ("HOSTNAME", "router-7"), ("authorized_keys", f"# mine\n{KEY}\n"),
        ("network/lan.ipconf", "interface eth0\n\taddress 192.168.7.1/24\n"), ("hostname", "\ufeffwindows\r\n"),
        ("wifi", "ssid=home\npsk=12345678\ncountry=DE\n"), ("wifi", "ssid=open\n"), ("wifi", f"ssid=x\npsk={'0f' * 32}\n"),
    ],
)  # fmt: skip
def test_a_good_file_is_taken(name: str, text: str) -> None:
    assert offered.mistake(name, text.encode()) == ""


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("hostname", b"", "a host name has"), ("hostname", b"a b", "a host name has"), ("hostname", b"-a", "a host name has"),
        ("hostname", b"x" * 64, "a host name has"), ("hostname", b"\xff\xfe", "it is no text"),
        ("authorized_keys", b"", "there is no key"), ("authorized_keys", b"ssh-dss AAAA", "no kind of key"),
        ("authorized_keys", b"ssh-rsa short", "no whole key"),
        ("network/lan.ipconf", b"interface eth0\n\taddress 1.2.3\n", "line 2"), ("network/lan.txt", b"", "none of the files"),
        ("network/a/b.ipconf", b"interface eth0", "none of the files"), ("network/x.fwconf", b"nonsense\n", "line 1"),
        ("wifi", b"psk=12345678", "an ssid has"), ("wifi", b"ssid=x\npsk=short", "a psk has"),
        ("wifi", b"ssid=x\nnonsense", "line 2"), ("wifi", b"ssid=x\npsk=" + b"g" * 64, "hexadecimal"),
        ("wifi", b"ssid=x\ncountry=de", "two capital letters"), ("other", b"", "none of the files"),
        ("hostname", b"x" * 70000, "larger than"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_is_told_apart(name: str, data: bytes, said: str) -> None:
    assert said in offered.mistake(name, data)


def test_a_wifi_file_becomes_the_supplicant_s() -> None:
    text = offered.supplicant('ssid=a "b"\npsk=pass"word\ncountry=DE\n')

    assert "country=DE\n" in text
    assert "ssid=6120226222\n" in text
    assert 'psk="pass"word"\n' in text
    assert "key_mgmt=NONE" in offered.supplicant("ssid=open\n")


@given(some.text(max_size=200))
def test_no_wifi_file_that_is_taken_adds_lines_to_the_supplicant_s(text: str) -> None:
    if offered.mistake("wifi", text.encode(errors="surrogatepass")) == "":
        assert len(offered.supplicant(text).splitlines()) <= 6


def test_the_card_s_readme_names_each_file_that_can_be_put_there() -> None:
    for name in (*offered.KINDS, *(f"*{ending}" for ending in offered.ENDINGS)):
        assert name in loaders.README


def test_the_image_knows_its_disk_by_the_same_number_that_the_layout_gives_it() -> None:
    board = chained(load("qemu-arm64"), "disk")
    told = equipment.variables(board)

    assert told["DISK"] == equipment.identity(board)
    assert f"{equipment.signature(board):08x}" == told["DISK"][:8]
