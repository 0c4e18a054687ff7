"""What *.fwconf files may say, and that nothing else is ever taken for it."""

from __future__ import annotations

import pytest

from initfs.network import zones
from initfs.network.wanted import Invalid

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
