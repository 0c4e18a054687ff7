"""Wanted against actual: the operations that lead from one to the other, in an order that keeps what works working.

Additions come before removals, addresses before the routes that need them. Only interfaces that somebody wants, or that this
program configured before, are touched.
"""

from __future__ import annotations

from initfs.network.wanted import is_address, is_prefix
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from initfs.network.wanted import Wanted


@value
class Actual:
    """What the kernel has: (interface, ADDRESS/PREFIX) pairs and (interface, gateway) of default routes."""

    addresses: frozenset[tuple[str, str]] = frozenset()
    gateways: frozenset[tuple[str, str]] = frozenset()


def plan(wanted: Sequence[Wanted], actual: Actual, owned: Iterable[str]) -> list[list[str]]:
    """The `ip` command lines, without their first word, that make ACTUAL what is WANTED on those interfaces and the OWNED ones."""
    interfaces = {want.interface for want in wanted} | set(owned)
    addresses = [(want.interface, address) for want in wanted for address in want.addresses]
    gateways = [(want.interface, gateway) for want in wanted for gateway in want.gateways]
    up = [["link", "set", "dev", name, "up"] for name in dict.fromkeys(want.interface for want in wanted)]
    new = [
        ["address", "add", address, "broadcast", "+", "dev", name]
        for name, address in dict.fromkeys(addresses)
        if (name, address) not in actual.addresses
    ]
    routes = [
        ["route", "add", "default", "via", gateway, "dev", name]
        for name, gateway in dict.fromkeys(gateways)
        if (name, gateway) not in actual.gateways
    ]
    old_routes = [
        ["route", "del", "default", "via", gateway, "dev", name]
        for name, gateway in sorted(actual.gateways)
        if name in interfaces and (name, gateway) not in gateways
    ]
    old = [
        ["address", "del", address, "dev", name]
        for name, address in sorted(actual.addresses)
        if name in interfaces and (name, address) not in addresses
    ]
    return [*(up if new else []), *new, *old_routes, *old, *routes]


def read_addresses(text: str) -> frozenset[tuple[str, str]]:
    """The pairs in the output of `ip -o -4 address show`: `2: eth0    inet 10.0.2.15/24 ...`."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] == "inet" and is_prefix(words[3]):
            found.add((words[1], words[3]))
    return frozenset(found)


def read_gateways(text: str) -> frozenset[tuple[str, str]]:
    """The pairs in the output of `ip -4 route show`: `default via 10.0.2.2 dev eth0 ...`."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 4 and words[:2] == ["default", "via"] and words[3] == "dev" and is_address(words[2]):
            found.add((words[4], words[2]))
    return frozenset(found)


def resolver(wanted: Sequence[Wanted]) -> str:
    """The content of resolv.conf: every server once, in order; resolv.conf(5) reads three."""
    servers = dict.fromkeys(server for want in wanted for server in want.dns)
    return "".join(f"nameserver {server}\n" for server in list(servers)[:3])
