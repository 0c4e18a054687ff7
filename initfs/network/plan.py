"""Wanted against actual: the operations that lead from one to the other, in an order that keeps what works working.

What is new comes before what goes: links, addresses, routes, rules; then rules, routes, addresses, links the other way round. A
route that only changes is replaced, which the kernel does in one step. Only what we made ourselves is ever taken away.
"""

from __future__ import annotations

from initfs.network.model import Link, Operation
from initfs.network.names import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initfs.network.model import Actual, Route, State


def plan(wanted: State, actual: Actual) -> list[Operation]:
    """The operations that make ACTUAL what is WANTED. What asks for an interface that is not there waits for it."""
    there = reachable(wanted, actual)
    routes = [route for route in wanted.routes if route.interface in there]
    return [
        *_links(wanted, actual, there),
        *_addresses(wanted, actual, there),
        *_routes(routes, wanted, actual),
        *[Operation("add", rule) for rule in wanted.rules if rule not in actual.rules],
        *_gone(wanted, actual),
    ]


def absent(wanted: State, actual: Actual) -> list[str]:
    """The interfaces that are wanted, are not there, and cannot be made."""
    there = reachable(wanted, actual)
    return [link.name for link in wanted.links if link.name not in there]


def reachable(wanted: State, actual: Actual) -> set[str]:
    """The names of the interfaces that are there, or will be: one is made when its parent is there."""
    there = {link.name for link in actual.links}
    for link in wanted.links:  # parents come first
        if link.kind and (not link.parent or link.parent in there):
            there.add(link.name)
    return there


def _links(wanted: State, actual: Actual, there: set[str]) -> Iterator[Operation]:
    known = {link.name: link for link in actual.links}
    for link in wanted.links:
        if link.name not in there:
            continue
        now = known.get(link.name)
        if now is not None and _other_kind(link, now) and link.name in actual.ours:
            yield Operation("delete", now)
            now = None
        if now is None:
            yield Operation("add", link)
            now = Link(link.name, link.kind, link.parent, link.tag, up=False)
        if link.mtu and link.mtu != now.mtu:
            yield Operation("set", link, ("mtu", link.mtu))
        if link.master in there and link.master != now.master:
            yield Operation("set", link, ("master", link.master))
        if not now.up:
            yield Operation("set", link, ("up", 1))


def _other_kind(link: Link, now: Link) -> bool:
    """Whether an interface must be made anew: its kind, parent and tag are for its life."""
    return bool(link.kind) and (link.kind, link.parent, link.tag) != (now.kind, now.parent, now.tag)


def _addresses(wanted: State, actual: Actual, there: set[str]) -> Iterator[Operation]:
    remade = _remade(wanted, actual)
    for address in wanted.addresses:
        if address.interface in there and (address not in actual.addresses or address.interface in remade):
            yield Operation("add", address)


def _remade(wanted: State, actual: Actual) -> set[str]:
    """Interfaces that are deleted and made anew: what they had is lost."""
    known = {link.name: link for link in actual.links}
    return {
        link.name
        for link in wanted.links
        if link.name in actual.ours and link.name in known and _other_kind(link, known[link.name])
    }


def _routes(routes: list[Route], wanted: State, actual: Actual) -> Iterator[Operation]:
    """Links' own routes before those through a gateway, which must be a neighbour by then."""
    remade = _remade(wanted, actual)
    replaced = {
        route.key for route in actual.routes if route in actual.ours and route.interface not in remade
    }
    for route in sorted(routes, key=lambda route: bool(route.gateway)):
        if route in actual.routes and route.interface not in remade:
            continue
        verb = "replace" if route.key in replaced else "add"
        yield Operation(verb, route, onlink=bool(route.gateway) and not _neighbour(route, wanted))


def _neighbour(route: Route, wanted: State) -> bool:
    """Whether an address of the interface says that the gateway is on its link."""
    own = (address.address for address in wanted.addresses if address.interface == route.interface)
    links = (
        other.destination
        for other in wanted.routes
        if other.interface == route.interface and not other.gateway and other.table == route.table
    )
    return any(covers(each, route.gateway) for each in (*own, *links))


def _gone(wanted: State, actual: Actual) -> Iterator[Operation]:
    """What we made and nobody wants any more."""
    there = reachable(wanted, actual)
    keys = {route.key for route in wanted.routes if route.interface in there}
    remade = _remade(wanted, actual)
    for rule in sorted(actual.rules, key=repr):
        if rule in actual.ours and rule not in wanted.rules:
            yield Operation("delete", rule)
    for route in sorted(actual.routes, key=repr):
        gone = route not in wanted.routes and route.key not in keys
        if gone and route in actual.ours and route.interface not in remade:
            yield Operation("delete", route)
    for address in sorted(actual.addresses, key=repr):
        gone = address not in wanted.addresses
        if gone and address in actual.ours and address.interface not in remade:
            yield Operation("delete", address)
    yield from _gone_links(wanted, actual)


def _gone_links(wanted: State, actual: Actual) -> Iterator[Operation]:
    known = {link.name: link for link in wanted.links}
    for link in actual.links:
        released = link.master in actual.ours and link.master in known
        if released and not (link.name in known and known[link.name].master):
            yield Operation("set", link, ("master", ""))
    for link in reversed(actual.links):
        if link.name in actual.ours and not (link.name in known and known[link.name].kind):
            yield Operation("delete", link)
