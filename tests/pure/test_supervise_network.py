"""What is wanted of the network, and the way to it: read without surprise, and reached in one run by a model of the kernel."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from initfs.network.plan import Actual, plan, read_addresses, read_gateways, resolver
from initfs.network.wanted import Invalid, Wanted, is_address, is_interface, is_prefix, parse

KEYWORDS = some.sampled_from(["interface", "address", "gateway", "dns", "nonsense", "#", ""])
VALUES = some.sampled_from(
    ["eth0", "10.0.0.1", "10.0.0.1/24", "10.0.0.1/33", "-x", "1.2.3", "", "999.1.1.1", "\u0661.1.1.1"]
)
LINES = some.one_of(some.text(max_size=30), some.tuples(KEYWORDS, VALUES).map(" ".join))


@given(some.one_of(some.text(), some.lists(LINES, max_size=8).map("\n".join)))
@example("interface eth0\naddress ٣.1.1.1/24\n")
@example("interface \x00\n")
def test_any_text_is_wanted_or_invalid(text: str) -> None:
    # VAR-230 (partly)
    try:
        found = parse(text)
    except Invalid:
        return
    assert is_interface(found.interface)
    assert all(map(is_prefix, found.addresses))
    assert all(map(is_address, found.gateways + found.dns))


@given(
    some.one_of(
        some.text(max_size=20), some.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4}){3}(/[0-9]{1,3})?", fullmatch=True)
    )
)
@example("010.0.0.1")
@example("1.2.3.4/08")
@example("0.0.0.0/0")
def test_an_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    # VAR-230 (partly)
    def takes(make: object) -> bool:
        try:
            make(text)  # type: ignore[operator]
        except ValueError:
            return False
        return True

    assert is_address(text) == takes(ipaddress.IPv4Address)
    if is_prefix(text):
        assert takes(ipaddress.IPv4Interface)
        assert str(ipaddress.IPv4Interface(text)) == text, "as the kernel prints it: else it is never reached"


# A model of the kernel ------------------------------------------------------------------------------

NETS = ("10.0.0.", "10.0.1.", "192.168.7.")
interfaces = some.sampled_from(["eth0", "eth1", "wlan0"])
addresses = some.builds(
    lambda net, host, size: f"{net}{host}/{size}",
    some.sampled_from(NETS),
    some.integers(1, 4),
    some.sampled_from([24, 25]),
)
wanteds = some.lists(
    some.builds(Wanted, interfaces, some.lists(addresses, max_size=3).map(tuple)), max_size=3
)
actuals = some.builds(Actual, some.frozensets(some.tuples(interfaces, addresses), max_size=5))


def obey(addresses: set[tuple[str, str]], operations: list[list[str]]) -> None:
    """What `ip` makes the kernel do, with promote_secondaries as if every address stood for itself."""
    for operation in operations:
        match operation:
            case ["link", "set", "dev", _, "up"]:
                pass
            case ["address", "add", address, "broadcast", "+", "dev", name]:
                assert (name, address) not in addresses, "File exists"
                addresses.add((name, address))
            case ["address", "del", address, "dev", name]:
                addresses.remove((name, address))
            case _:
                pytest.fail(f"unknown operation {operation}")


@given(wanteds, actuals, some.sets(interfaces))
def test_a_plan_reaches_what_is_wanted_and_a_second_one_is_empty(
    wanted: list[Wanted], actual: Actual, owned: set[str]
) -> None:
    # VAR-230 (partly)
    after = set(actual.addresses)
    obey(after, plan(wanted, actual, owned))
    touched = {want.interface for want in wanted} | owned
    assert {pair for pair in after if pair[0] in touched} == {
        (want.interface, address) for want in wanted for address in want.addresses
    }
    assert {pair for pair in after if pair[0] not in touched} == {
        pair for pair in actual.addresses if pair[0] not in touched
    }, "other interfaces are left alone"
    assert plan(wanted, Actual(frozenset(after)), owned) == []


@given(
    some.lists(
        some.builds(
            Wanted,
            interfaces,
            some.just(("10.0.0.2/24",)),
            some.lists(some.sampled_from(["10.0.0.1", "10.0.0.9"]), max_size=2).map(tuple),
        ),
        max_size=2,
    ),
    some.frozensets(some.tuples(interfaces, some.sampled_from(["10.0.0.1", "10.0.0.8"]))),
    some.sets(interfaces),
)
def test_default_routes_follow_too(
    wanted: list[Wanted], gateways: frozenset[tuple[str, str]], owned: set[str]
) -> None:
    # VAR-230 (partly)
    addresses = frozenset((want.interface, address) for want in wanted for address in want.addresses)
    after = set(gateways)
    for operation in plan(wanted, Actual(addresses, gateways), owned):
        match operation:
            case ["route", "add", "default", "via", gateway, "dev", name]:
                assert (name, gateway) not in after, "File exists"
                after.add((name, gateway))
            case ["route", "del", "default", "via", gateway, "dev", name]:
                after.remove((name, gateway))
            case ["link", "set", "dev", _, "up"] | ["address", "del", _, "dev", _]:
                pass
            case _:
                pytest.fail(f"unknown operation {operation}")
    touched = {want.interface for want in wanted} | owned
    assert {pair for pair in after if pair[0] in touched} == {
        (want.interface, gateway) for want in wanted for gateway in want.gateways
    }
    assert [
        one for one in plan(wanted, Actual(addresses, frozenset(after)), owned) if one[0] == "route"
    ] == []


@given(some.text())
def test_any_output_of_ip_is_read(text: str) -> None:
    assert all(is_prefix(address) for _, address in read_addresses(text))
    assert all(is_address(gateway) for _, gateway in read_gateways(text))


def test_the_output_of_ip_is_understood() -> None:
    text = "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0\n"
    assert read_addresses(text) == {("lo", "127.0.0.1/8"), ("eth0", "10.0.2.15/24")}
    text = "default via 10.0.2.2 dev eth0 proto dhcp metric 100\n10.0.2.0/24 dev eth0 scope link\n"
    assert read_gateways(text) == {("eth0", "10.0.2.2")}


@given(
    some.lists(
        some.builds(
            Wanted,
            interfaces,
            dns=some.lists(some.sampled_from(["1.1.1.1", "9.9.9.9", "8.8.8.8", "4.4.4.4"])).map(tuple),
        )
    )
)
def test_the_resolver_has_at_most_three_servers_each_once(wanted: list[Wanted]) -> None:
    lines = resolver(wanted).splitlines()
    assert len(lines) == len(set(lines)) <= 3
    assert all(line.startswith("nameserver ") for line in lines)
