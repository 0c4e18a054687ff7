"""The network as values: what somebody wants, what the kernel has, and the operations between the two."""

from __future__ import annotations

from initfs.value import value

MAIN_TABLE = 254  # linux/rtnetlink.h: RT_TABLE_MAIN
OURS = 83  # marks routes, rules and addresses of ours in the kernel (rtm_protocol; 0-4 and routing daemons' numbers are taken)
ALIAS = "initfs"  # ifalias of the interfaces that we made


@value
class Link:
    """An interface; a KIND other than "" is one that is made: bridge, vlan (TAG on PARENT), dummy. MTU 0: as it is."""

    name: str
    kind: str = ""
    parent: str = ""
    tag: int = 0
    master: str = ""  # the bridge that it is a port of
    mtu: int = 0
    up: bool = True


@value
class Address:
    """ADDRESS is with its prefix length."""

    interface: str
    address: str


@value
class Route:
    """GATEWAY "" is the link itself. Two routes of one key (`key`) exclude each other in the kernel."""

    interface: str
    destination: str  # 0.0.0.0/0 or ::/0 is the default route
    gateway: str = ""
    metric: int = 0
    table: int = MAIN_TABLE

    @property
    def key(self) -> tuple[int, str, int]:
        return self.table, self.destination, self.metric


@value
class Rule:
    """What comes from the network SOURCE, to the network TARGET, or both, is routed by TABLE."""

    source: str = ""
    target: str = ""
    table: int = MAIN_TABLE
    priority: int = 0


@value
class State:
    """The network that is wanted, as it is to be in the kernel. Links in the order in which they can be made."""

    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@value
class Actual:
    """What the kernel has. `ours` are those of its links, addresses, routes and rules that we made (see OURS, ALIAS)."""

    links: tuple[Link, ...] = ()
    addresses: frozenset[Address] = frozenset()
    routes: frozenset[Route] = frozenset()
    rules: frozenset[Rule] = frozenset()
    ours: frozenset[object] = frozenset()  # the names of links; values of the others
    indexes: tuple[tuple[str, int], ...] = ()  # of links by name


@value
class Operation:
    """VERB is add, replace, delete, set. `change` says what of a link is set: ("mtu", 1400), ("master", "br0"), ("up", 1)."""

    verb: str
    subject: Link | Address | Route | Rule
    change: tuple[str, object] = ("", "")
    onlink: bool = False  # of a route: its gateway is a neighbour although no address says so

    def __str__(self) -> str:
        """The operation as an `ip` command line without the word ip, for people."""
        return (
            f"{_noun(self.subject)} {self.verb} {_words(self.subject, self.change)}" + " onlink" * self.onlink
        )


def _noun(subject: object) -> str:
    return type(subject).__name__.lower()


def _words(subject: object, change: tuple[str, object]) -> str:
    match subject:
        case Link(name):
            return f"dev {name} {_set(change)}" if change[0] else f"{name} {_kind(subject)}".rstrip()
        case Address(interface, address):
            return f"{address} dev {interface}"
        case Route(interface, destination, gateway, metric, table):
            via = f" via {gateway}" if gateway else ""
            return f"{destination}{via} dev {interface} metric {metric} table {table}"
        case Rule(source, target, table, priority):
            pairs = (("from", source), ("to", target))
            chosen = "".join(f"{word} {text} " for word, text in pairs if text)
            return f"{chosen}table {table} priority {priority}"
    raise TypeError(subject)


def _set(change: tuple[str, object]) -> str:
    name, to = change
    if name == "up":
        return "up" if to else "down"
    return f"{name} {to}" if to else "nomaster"


def _kind(link: Link) -> str:
    return (
        f"type {link.kind}" + (f" id {link.tag} link {link.parent}" if link.kind == "vlan" else "")
        if link.kind
        else ""
    )
