"""What *.ipconf files may say, and that nothing else is ever taken for it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from initfs.network.names import is_address, is_host, is_interface, is_network, is_pattern, is_prefix
from initfs.network.wanted import LINES, Block, Gateway, Invalid, Policy, is_dnsmasq, parse

WHOLE = """
interface br0            # the inner side
    bridge eth1 eth2
    mtu 1400
    metric 50
    address 192.168.7.1/24 fd00::1/64
    gateway 192.168.7.254 metric 7
    gateway fd00::ff
    route 10.0.0.0/8 via 192.168.7.2 table 100
    route 172.16.0.0/12
    rule from 192.168.7.0/24 table 100 priority 300
    rule from 192.168.8.0/24 to 10.0.0.0/8 table 100
    dns 192.168.7.254 fd00::53
    dns-priority 5
    dnsmasq server=/corp.example/10.0.0.1
    domain lan.example
    search corp.example example
    host router gateway
interface eth0.5
    vlan 5 eth0
    fallback
    ra off
"""


def test_a_file_says_what_is_wanted_of_several_interfaces() -> None:
    # VAR-230 (partly)
    bridge, vlan = parse(WHOLE)

    assert bridge == Block(
        "br0",
        "bridge",
        ("eth1", "eth2"),
        mtu=1400,
        metric=50,
        addresses=("192.168.7.1/24", "fd00::1/64"),
        routes=(
            Gateway("0.0.0.0/0", "192.168.7.254", 7),
            Gateway("::/0", "fd00::ff"),
            Gateway("10.0.0.0/8", "192.168.7.2", 0, 100),
            Gateway("172.16.0.0/12", ""),
        ),
        rules=(Policy("192.168.7.0/24", "", 100, 300), Policy("192.168.8.0/24", "10.0.0.0/8", 100)),
        dns=("192.168.7.254", "fd00::53"),
        dns_priority=5,
        dnsmasq=("server=/corp.example/10.0.0.1",),
        domain="lan.example",
        search=("corp.example", "example"),
        hosts=("router", "gateway"),
    )
    assert vlan == Block("eth0.5", "vlan", tag=5, parent="eth0", fallback=True, ra="off")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("address 10.0.0.1/24", 1),
        ("interface", 1),
        ("interface eth0 eth1", 1),
        ("interface eth0\n\naddress 10.0.0.1", 3),
        ("interface eth0\naddress 10.0.0.1/33", 2),
        ("interface eth0\naddress 010.0.0.1/24", 2),
        ("interface eth0\naddress fd00:0:0::1/64", 2),
        ("interface eth0\ngateway $(reboot)", 2),
        ("interface eth0\ngateway 10.0.0.1 metric", 2),
        ("interface eth0\ngateway 10.0.0.1 metric 0", 2),
        ("interface eth0\ngateway 10.0.0.1 metric 1 metric 2", 2),
        ("interface eth0\nroute 10.0.0.1/8", 2),
        ("interface eth0\nroute 10.0.0.0/8 via fd00::1", 2),
        ("interface eth0\nrule table 5", 2),
        ("interface eth0\nrule from 10.0.0.0/8", 2),
        ("interface eth0\nvlan 4095 eth1", 2),
        ("interface eth0\nbridge eth1\nvlan 5 eth1", 3),
        ("interface eth0\nmtu 67", 2),
        ("interface eth0\nmtu 1400\nmtu 1500", 3),
        ("interface eth0\ndns", 2),
        ("interface eth0\ndnsmasq conf-file=/etc/shadow", 2),
        ("interface eth0\ndomain a;b", 2),
        ("interface eth0\nfallback yes", 2),
        ("interface eth0\ndummy 1", 2),
        ("interface eth0\nra maybe", 2),
        ("interface eth0\ndns 10.0.0.1\x0b10.0.0.2 'x'", 2),
        ("interface eth0\nb\u00fccher 1", 2),
        ("interface eth`id`", 1),
        ("interface -all", 1),
        ("let cfg=cfg+1", 1),
    ],
)
def test_a_file_with_an_error_is_refused_with_the_line(text: str, line: int) -> None:
    # VAR-230 (partly) VAR-237 (partly)
    with pytest.raises(Invalid, match=f"^line {line}: "):
        parse(text)


def test_a_file_without_an_interface_asks_for_nothing_and_is_refused() -> None:
    with pytest.raises(Invalid, match="no interface"):
        parse("# nothing\n")


VALUES = some.sampled_from(
    [
        "eth0",
        "10.0.0.1",
        "10.0.0.1/24",
        "10.0.0.0/8",
        "fd00::1",
        "fd00::/8",
        "via",
        "metric",
        "table",
        "from",
        "5",
        "100",
        "$(id)",
        "`id`",
        "'",
    ]
)
LINE = some.tuples(
    some.sampled_from([*LINES, "interface", "nonsense"]), some.lists(VALUES, max_size=4).map(" ".join)
).map(" ".join)
TEXT = some.one_of(
    some.text(), some.lists(LINE, max_size=6).map(lambda lines: "\n".join(["interface a", *lines]))
)


@given(TEXT)
@example("interface a\ndomain \u0661\n")
def test_any_text_is_understood_or_refused_and_what_is_understood_is_harmless(text: str) -> None:
    # VAR-230 (partly) VAR-237 (partly)
    try:
        blocks = parse(text)
    except Invalid:
        return
    for block in blocks:
        for field in map(str, tuple(block)):  # type: ignore[arg-type]
            assert not set(field.replace("'", "").replace("(", "")) & set('"`$\\;|<>\n\r\t\x00'), field


@given(
    some.one_of(some.text(max_size=20), some.from_regex(r"[0-9a-f:.]{1,20}(/[0-9]{1,3})?", fullmatch=True))
)
@example("010.0.0.1")
@example("1.2.3.4/08")
@example("fe80::1%eth0")
@example("::ffff:1.2.3.4")
@example("\u0663.1.1.1")
def test_an_address_is_written_as_the_kernel_prints_it(text: str) -> None:
    for check, make in (
        (is_address, ipaddress.ip_address),
        (is_prefix, ipaddress.ip_interface),
        (is_network, ipaddress.ip_network),
    ):
        if check(text) and text != "default":
            assert str(make(text)) == text


@given(some.text(max_size=20))
@example("")
@example("..")
@example("a" * 16)
def test_an_interface_s_name_is_a_file_name_and_a_word(text: str) -> None:
    for check in (is_interface, is_pattern):
        if check(text):
            assert text.isascii()
            assert 0 < len(text.removesuffix("*")) <= 15 or text == "*"
            assert not set(text) & set("/ \n\t\"'`\\")


@given(some.text(alphabet="a.-_$`\n;'", max_size=8))
def test_a_host_s_name_has_nothing_that_a_shell_would_act_on(text: str) -> None:
    # VAR-237 (partly)
    assert not (is_host(text) and set(text) & set("$`\n;' "))
    assert not (is_dnsmasq(f"server={text}") and set(text) & set("$`\n;' "))
