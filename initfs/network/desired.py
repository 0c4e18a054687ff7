"""From what many files ask for to one state of the network, in which nothing contradicts itself.

Two files may ask for the same interface: what they ask for adds up. Where the kernel could have only one of two things, the
first file by name has it, and the other's metric gives way.
"""

from __future__ import annotations

from initfs.network.model import MAIN_TABLE, Address, Link, Route, Rule, State
from initfs.network.names import version
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from initfs.network.wanted import Block

PREFERRED = 100  # metric of the first preferred interface
ORDINARY = 1000  # of the others, plus ten times their index
FIRST_RULE = 1000  # priority


def state(blocks: Sequence[Block], indexes: Mapping[str, int], prefer: Sequence[str] = ()) -> State:
    """What these blocks come to. INDEXES are those of the interfaces there are; PREFER orders the default routes."""
    counted = effective(blocks)
    return State(
        tuple(links(counted)),
        tuple(dict.fromkeys(Address(one.interface, text) for one in counted for text in one.addresses)),
        tuple(routes(counted, indexes, prefer)),
        tuple(rules(counted)),
    )


def effective(blocks: Sequence[Block]) -> list[Block]:
    """The blocks that count: a fallback's does not, once another has an IPv4 address for that interface."""
    served = {
        block.interface
        for block in blocks
        if not block.fallback and any(version(text) == 4 for text in block.addresses)
    }
    return [block for block in blocks if not (block.fallback and block.interface in served)]


def links(blocks: Sequence[Block]) -> list[Link]:
    """One link per interface that somebody asks for or that is a port; made ones after what they are made on."""
    found: dict[str, Link] = {}
    for block in blocks:
        link = found.get(block.interface, Link(block.interface))
        if block.kind and not link.kind:
            link = replace(link, kind=block.kind, parent=block.parent, tag=block.tag)
        found[block.interface] = replace(link, mtu=link.mtu or block.mtu)
        for port in block.ports:
            found[port] = replace(found.get(port, Link(port)), master=block.interface)
        if block.kind == "vlan":
            found.setdefault(block.parent, Link(block.parent))
    return _in_order(found)


def _in_order(links: dict[str, Link]) -> list[Link]:
    """Parents and bridges first; a circle, which cannot be made, is left as it came."""
    done: dict[str, Link] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        link = links.get(name)
        if link is None or name in done or name in above:
            return
        for needed in (link.parent, link.master):
            visit(needed, (*above, name))
        done[name] = link

    for name in links:
        visit(name, ())
    return list(done.values())


def routes(
    blocks: Sequence[Block], indexes: Mapping[str, int], prefer: Sequence[str] = ()
) -> Iterable[Route]:
    """The routes, each with a metric of its own among those to the same network."""
    taken: dict[tuple[int, str, int], Route] = {}
    for block in blocks:
        base = block.metric or metric(block.interface, indexes, prefer)
        for way in block.routes:
            route = Route(
                block.interface, way.destination, way.gateway, way.metric or base, way.table or MAIN_TABLE
            )
            while taken.get(route.key, route) != route:
                route = replace(route, metric=route.metric + 1)
            taken[route.key] = route
    return taken.values()


def metric(interface: str, indexes: Mapping[str, int], prefer: Sequence[str]) -> int:
    """The metric of an interface's routes that says nothing of one: stable while the interface is there."""
    if interface in prefer:
        return PREFERRED + 10 * list(prefer).index(interface)
    return ORDINARY + 10 * indexes.get(interface, 0)


def rules(blocks: Sequence[Block]) -> list[Rule]:
    """The rules in the order of the files; those without a priority are numbered."""
    found: list[Rule] = []
    for block in blocks:
        for rule in block.rules:
            priority = rule.priority or FIRST_RULE + len(found)
            found.append(Rule(rule.source, rule.target, rule.table, priority))
    return found
