"""The way from what is there to what is wanted: reached in one run by a model of the kernel, and nothing needed is ever missing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from initfs.network.desired import effective, state
from initfs.network.model import Actual, Address, Link, Operation, Route, Rule, State
from initfs.network.names import network_of
from initfs.network.plan import absent, plan
from initfs.network.wanted import Block, Gateway, parse
from initfs.value import replace

THERE = ("eth0", "eth1", "wlan0")
MADE = ("br0", "eth0.5")


class World:
    """A kernel that obeys operations as the real one does, and refuses what it would refuse."""

    def __init__(self, actual: Actual) -> None:
        self.links = {link.name: link for link in actual.links}
        self.addresses, self.routes, self.rules = set(actual.addresses), set(actual.routes), set(actual.rules)
        self.ours = set(actual.ours)

    def actual(self) -> Actual:
        return Actual(
            tuple(self.links.values()),
            frozenset(self.addresses),
            frozenset(self.routes),
            frozenset(self.rules),
            frozenset(self.ours),
            tuple((name, index) for index, name in enumerate(sorted(self.links), 2)),
        )

    def obey(self, operation: Operation) -> None:
        match operation.verb, operation.subject:
            case "add", Link(name) as link:
                assert name not in self.links, "File exists"
                assert link.kind
                assert not link.parent or link.parent in self.links, "No such device"
                self.links[name] = replace(link, master="", mtu=1500, up=False)
                self.ours.add(name)
            case "set", Link(name):
                what, to = operation.change
                assert what != "master" or not to or to in self.links, "No such device"
                self.links[name] = replace(self.links[name], **{what: bool(to) if what == "up" else to})
            case "delete", Link(name):
                assert name in self.ours, "taken from somebody else"
                self.delete(name)
            case "add", thing:
                things = self.of(thing)
                assert thing not in things, "File exists"
                assert not isinstance(thing, Route) or thing.key not in {one.key for one in self.routes}
                assert isinstance(thing, Rule) or getattr(thing, "interface", "") in self.links
                things.add(thing)
                self.ours.add(thing)
            case "replace", Route() as route:
                old = [one for one in self.routes if one.key == route.key]
                assert all(one in self.ours for one in old), "taken from somebody else"
                self.routes.difference_update(old)
                self.routes.add(route)
                self.ours.add(route)
            case "delete", thing:
                assert thing in self.ours, "taken from somebody else"
                self.of(thing).remove(thing)
            case other:
                raise AssertionError(other)

    def of(self, thing: object) -> set[object]:
        return {Address: self.addresses, Route: self.routes, Rule: self.rules}[type(thing)]  # type: ignore[return-value]

    def delete(self, name: str) -> None:
        """An interface takes along what hangs on it."""
        del self.links[name]
        self.ours.discard(name)
        self.addresses = {one for one in self.addresses if one.interface != name}
        self.routes = {one for one in self.routes if one.interface != name}
        for other in list(self.links.values()):
            if other.master == name:
                self.links[other.name] = replace(other, master="")
            if other.parent == name:
                self.delete(other.name)


NAMES = some.sampled_from([*THERE, *MADE])
ADDRESSES = some.sampled_from(["10.0.0.1/24", "10.0.0.2/24", "10.0.1.2/25", "fd00::2/64"])
ROUTES = some.builds(
    Gateway,
    some.sampled_from(["0.0.0.0/0", "172.16.0.0/12"]),
    some.sampled_from(["10.0.0.254", "10.0.0.253", ""]),
    some.sampled_from([0, 0, 5]),
    some.sampled_from([0, 100]),
)


@some.composite
def blocks(draw: some.DrawFn) -> list[Block]:
    found = []
    for name in draw(some.lists(NAMES, max_size=4)):
        block = Block(
            name,
            mtu=draw(some.sampled_from([0, 1400])),
            fallback=draw(some.booleans()),
            addresses=tuple(draw(some.lists(ADDRESSES, max_size=2, unique=True))),
            routes=tuple(draw(some.lists(ROUTES, max_size=2, unique=True))),
        )
        if name == "br0":
            block = replace(
                block, kind="bridge", ports=tuple(draw(some.sets(some.sampled_from(["eth1", "wlan0"]))))
            )
        if name == "eth0.5":
            block = replace(block, kind="vlan", parent="eth0", tag=draw(some.sampled_from([5, 6])))
        found.append(block)
    return found


def beginning(foreign: frozenset[Address], missing: str) -> World:
    """A machine before we do anything: its interfaces, and what others set up."""
    links = tuple(Link(name, mtu=1500, up=name == "eth0") for name in THERE if name != missing)
    kept = frozenset(one for one in foreign if one.interface in {link.name for link in links})
    routes = frozenset({Route("eth0", "192.168.9.0/24", "", 0)} if missing != "eth0" else ())
    return World(Actual(links, kept, routes, frozenset({Rule("", "", 254, 32766)})))


FOREIGN = some.frozensets(
    some.builds(Address, some.sampled_from(THERE), some.sampled_from(["10.9.0.1/24", "10.0.0.1/24"])),
    max_size=2,
)


@settings(max_examples=300)
@given(blocks(), blocks(), FOREIGN, some.sampled_from(["", "eth0", "wlan0"]))
def test_one_run_reaches_what_is_wanted_from_wherever_and_a_second_does_nothing(
    before: list[Block], after: list[Block], foreign: frozenset[Address], missing: str
) -> None:
    # VAR-230 (partly)
    world = beginning(foreign, missing)
    theirs = world.actual()
    for asked in (before, after):
        run(world, asked)
    goal = state(after, dict(world.actual().indexes))
    now = world.actual()

    reached = {link.name for link in now.links}
    assert {one for one in goal.addresses if one.interface in reached} <= now.addresses
    assert set(absent(goal, now)) == {link.name for link in goal.links} - reached
    assert theirs.addresses <= now.addresses, "what others set up stays"
    assert theirs.routes <= now.routes
    assert theirs.rules <= now.rules
    assert now.addresses - theirs.addresses <= set(goal.addresses), "what nobody wants any more is gone"
    assert {link.name for link in now.links if link.kind} == {
        link.name for link in goal.links if link.kind and link.name in reached
    }


def run(world: World, asked: list[Block]) -> None:
    """One run, as fw does it: until there is nothing left to do; a second round only for what a deletion took along."""
    for _ in range(3):
        actual = world.actual()
        operations = plan(state(asked, dict(actual.indexes)), actual)
        for operation in operations:
            assert str(operation)
            world.obey(operation)
        if not operations:
            return
    raise AssertionError(f"it comes to no end: {operations}")


@settings(max_examples=200)
@given(blocks(), blocks(), FOREIGN)
def test_what_was_there_and_is_still_wanted_is_there_at_every_moment(
    before: list[Block], after: list[Block], foreign: frozenset[Address]
) -> None:
    # VAR-230 (partly)
    world = beginning(foreign, "")
    run(world, before)
    actual = world.actual()
    wanted = state(after, dict(actual.indexes))
    lasting = {link.name for link in actual.links} - MADE_ANEW(actual, wanted)
    kept = {one for one in actual.addresses & set(wanted.addresses) if one.interface in lasting}
    ways = {one.key for one in actual.routes if one.interface in lasting} & {
        one.key for one in wanted.routes if one.interface in lasting
    }

    for operation in plan(wanted, actual):
        world.obey(operation)
        assert kept <= world.addresses, operation
        assert ways <= {one.key for one in world.routes}, operation


def MADE_ANEW(actual: Actual, wanted: State) -> set[str]:  # noqa: N802
    """Interfaces that cannot stay: their tag changes, or nobody wants them."""
    plan_ = plan(wanted, actual)
    return {one.subject.name for one in plan_ if isinstance(one.subject, Link) and one.verb == "delete"}


def test_new_comes_before_old_goes_and_a_changed_route_is_replaced_in_one_step() -> None:
    # VAR-230 (partly)
    world = beginning(frozenset(), "")
    run(world, list(parse("interface eth0\naddress 10.0.0.2/24\ngateway 10.0.0.1\n")))
    actual = world.actual()
    asked = parse("interface eth0\naddress 10.0.0.3/24\ngateway 10.0.0.9\n")

    told = [str(one) for one in plan(state(asked, dict(actual.indexes)), actual)]

    assert told == [
        "address add 10.0.0.3/24 dev eth0",
        "route replace 0.0.0.0/0 via 10.0.0.9 dev eth0 metric 1020 table 254",
        "address delete 10.0.0.2/24 dev eth0",
    ]


def test_the_preferred_interface_s_default_route_comes_first_and_all_have_metrics_of_their_own() -> None:
    # VAR-231 (partly)
    asked = parse(
        "interface eth0\ngateway 10.0.0.1\ngateway 10.0.0.2\n"
        "interface wlan0\ngateway 10.1.0.1\ninterface eth1\ngateway 10.2.0.1 metric 5\n"
    )
    indexes = {"eth0": 2, "eth1": 3, "wlan0": 4}

    def order(prefer: tuple[str, ...]) -> list[str]:
        routes = state(asked, indexes, prefer).routes
        assert len({route.metric for route in routes}) == 4
        return [route.gateway for route in sorted(routes, key=lambda route: route.metric)]

    assert order(()) == ["10.2.0.1", "10.0.0.1", "10.0.0.2", "10.1.0.1"]
    assert order(("wlan0",)) == ["10.2.0.1", "10.1.0.1", "10.0.0.1", "10.0.0.2"]


def test_a_gateway_that_no_address_covers_is_said_to_be_on_the_link() -> None:
    asked = parse("interface eth0\naddress 10.0.0.2/32\ngateway 10.9.0.1\n")
    actual = beginning(frozenset(), "").actual()

    assert [one.onlink for one in plan(state(asked, {}), actual) if isinstance(one.subject, Route)] == [True]


def test_a_fallback_counts_only_while_nobody_else_has_an_address_for_the_interface() -> None:
    # VAR-227 (partly)
    zeroconf = Block("eth0", fallback=True, addresses=("169.254.7.7/16",))
    lease = Block("eth0", addresses=("10.0.0.2/24",))

    assert effective([zeroconf]) == [zeroconf]
    assert effective([zeroconf, lease]) == [lease]
    assert effective([zeroconf, replace(lease, interface="eth1")]) == [
        zeroconf,
        replace(lease, interface="eth1"),
    ]
    assert effective([zeroconf, replace(lease, addresses=("fd00::1/64",))])[0] == zeroconf


def test_a_vlan_on_a_bridge_s_port_is_made_after_what_it_is_made_on() -> None:
    asked = parse("interface v\nvlan 5 br0\ninterface br0\nbridge eth1\n")

    assert [link.name for link in state(asked, {}).links] == ["br0", "v", "eth1"]


def test_a_circle_of_interfaces_comes_to_an_end() -> None:
    asked = parse("interface a\nvlan 5 b\ninterface b\nvlan 6 a\n")
    actual = beginning(frozenset(), "").actual()

    assert plan(state(asked, {}), actual) == []
    assert sorted(absent(state(asked, {}), actual)) == ["a", "b"]


def test_the_network_of_an_address_is_known() -> None:
    assert network_of("10.0.1.2/25") == "10.0.1.0/25"
