"""What *.ipconf and *.fwconf files may say, and that nothing else is ever taken for it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from initfs.network import legacy, netfiles, zones
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


# Zones -----------------------------------------------------------------------------------------------

FIREWALL = """
zone lan
    interface br0 br0 wlan*
    accept tcp 22 80 8000-8010
    accept udp 53 from 192.168.7.0/24 fd00::/8
    accept ping
    forward wan
zone wan
    interface eth0
    accept all from 10.9.9.9/32
    masquerade
prefer eth0 eth1
"""


def test_a_firewall_is_zones_with_what_they_may() -> None:
    found = zones.together([zones.parse(FIREWALL)])
    lan, wan = found.zones

    assert lan.interfaces == ("br0", "wlan*")
    assert lan.accepts == (
        zones.Accept("tcp", ("22", "80", "8000-8010")),
        zones.Accept("udp", ("53",), ("192.168.7.0/24", "fd00::/8")),
        zones.Accept("ping"),
    )
    assert (lan.forwards, wan.masquerade, found.routes) == (("wan",), True, True)
    assert wan.accepts == (zones.Accept("all", (), ("10.9.9.9/32",)),)
    assert found.prefer == ("eth0", "eth1")


def test_several_files_add_up_to_one_firewall() -> None:
    more = zones.parse("zone lan\naccept tcp 443\ninterface br0\n")
    lan = zones.together([zones.parse(FIREWALL), more]).zones[0]

    assert lan.interfaces == ("br0", "wlan*")
    assert zones.Accept("tcp", ("443",)) in lan.accepts


@pytest.mark.parametrize(
    "text",
    [
        "accept ping",
        "zone Lan",
        "zone",
        "zone a\naccept",
        "zone a\naccept tcp",
        "zone a\naccept tcp 0",
        "zone a\naccept tcp 65536",
        "zone a\naccept tcp 9-8",
        "zone a\naccept tcp 22;drop",
        "zone a\naccept ping 1",
        "zone a\naccept all from",
        "zone a\naccept all from 10.0.0.1",
        'zone a\ninterface eth0" accept #',
        "zone a\ninterface e*0",
        "zone a\nmasquerade eth0",
        "zone a\nforward wan;",
        "prefer *",
        "zone a\nfrobnicate",
    ],
)
def test_a_firewall_with_an_error_is_refused_with_the_line(text: str) -> None:
    with pytest.raises(Invalid, match=r"^line \d: "):
        zones.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "zone a\nforward b",
        "zone a\ninterface eth0\nzone b\ninterface eth*",
        "zone a\ninterface eth*\nzone b\ninterface eth1*",
        "zone a\ninterface *\nzone b\ninterface *",
    ],
)
def test_zones_that_contradict_each_other_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        zones.together([zones.parse(text)])


# The old form ----------------------------------------------------------------------------------------

OLD = """
# a private net
let cfg=cfg+1
if[$cfg]=if; ip[$cfg]=10.0.0.2
ipmask[$cfg]='10.0.0.2/24'
gw[$cfg]=10.0.0.1;net[$cfg]=0/0
dns[$cfg]="10.0.0.1 10.0.0.3"; dns_prio[$cfg]=10
let cfg=cfg+1
if[$cfg]=eth1
ip[$cfg]=10.1.0.2
gw[$cfg]=10.1.0.1
net[$cfg]=172.16.0.0/12
dnsmasq[$cfg]='server=/corp/10.0.0.9 server=10.0.0.8'
"""


def test_the_old_form_is_translated() -> None:
    # VAR-230 (partly)
    first, second = parse(legacy.translate(OLD))

    assert first == Block(
        "if",
        addresses=("10.0.0.2/24",),
        routes=(Gateway("0.0.0.0/0", "10.0.0.1"),),
        dns=("10.0.0.1", "10.0.0.3"),
        dns_priority=10,
    )
    assert second.addresses == ("10.1.0.2/32",)
    assert second.routes == (Gateway("172.16.0.0/12", "10.1.0.1"),)
    assert second.dnsmasq == ("server=/corp/10.0.0.9", "server=10.0.0.8")


@pytest.mark.parametrize(
    "statement",
    [
        "reboot",
        "if[$cfg]=$(reboot)",
        "if[$cfg]=`reboot`",
        "ip[$cfg]=1.2.3.4 reboot",
        "ip[$cfg]='1.2.3.4",
        "gw[$cfg]='a'\"b\"",
        "mtu[$cfg]=1400",
        "ip[3]=1.2.3.4",
        "ip[$cfg]=1.2.3.4 && reboot",
    ],
)
def test_whatever_is_not_exactly_the_old_form_is_refused_with_its_line(statement: str) -> None:
    # VAR-237 (partly)
    with pytest.raises(Invalid, match=r"^line 3: "):
        legacy.translate(f"let cfg=cfg+1\nif[$cfg]=eth0\n{statement}\n")


@given(some.text(alphabet="ifp[$c]=cg+1 let'\";\n#.0/", max_size=60))
def test_any_old_text_is_translated_or_refused(text: str) -> None:
    try:
        translated = legacy.translate(text)
    except Invalid:
        return
    assert translated == "" or parse(translated)


# The resolver's files --------------------------------------------------------------------------------


def test_only_the_servers_of_the_highest_priority_are_asked_and_three_of_them() -> None:
    # VAR-232 (partly)
    blocks = [
        Block("a", dns=("1.1.1.1",), domain="a.example"),
        Block("b", dns=("2.2.2.1", "2.2.2.2"), dns_priority=5, search=("b.example", "a.example")),
        Block("c", dns=("2.2.2.2", "3.3.3.3", "4.4.4.4"), dns_priority=5),
    ]

    assert netfiles.resolver(blocks) == (
        "search a.example b.example\nnameserver 2.2.2.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n"
    )
    assert netfiles.resolver(blocks, cached=True).endswith("nameserver 127.0.0.1\n")
    assert netfiles.dnsmasq(blocks) == ("server=2.2.2.1\nserver=2.2.2.2\nserver=3.3.3.3\nserver=4.4.4.4\n")


def test_a_block_s_own_lines_for_the_cache_stand_for_its_servers() -> None:
    # VAR-232 (partly)
    blocks = [Block("a", dns=("1.1.1.1",)), Block("b", dns=("2.2.2.2",), dnsmasq=("server=/x/3.3.3.3",))]

    assert netfiles.dnsmasq(blocks) == "server=/x/3.3.3.3\nserver=1.1.1.1\n"


def test_hosts_has_this_machine_under_each_of_its_addresses() -> None:
    # VAR-232 (partly)
    blocks = [
        Block("lo", addresses=("127.0.0.1/8",)),
        Block("eth0", addresses=("10.0.0.2/24", "fd00::2/64"), domain="lan", hosts=("alias",)),
    ]

    assert netfiles.hosts(blocks, "box") == (
        "127.0.0.1\tlocalhost\n::1\tlocalhost\n10.0.0.2\talias box.lan box\nfd00::2\talias box.lan box\n"
    )
    assert "evil" not in netfiles.hosts(blocks, "evil\n6.6.6.6 bank")
