"""The resolver's files: what they say of all that is wanted."""

from __future__ import annotations

from initfs.network import netfiles
from initfs.network.wanted import Block


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
