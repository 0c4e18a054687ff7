"""What somebody wants of the network, read from `*.ipconf` files: declarative, checked value by value, never executed.

    interface br0
        bridge eth1 eth2
        address 192.168.7.1/24
        gateway 192.168.7.254 metric 50
        dns 192.168.7.254

The words are those of `LINES`; docs/networking.md explains them. A file may have several `interface` blocks; `#` begins a comment.
"""

from __future__ import annotations

from initfs.network.names import is_address, is_host, is_interface, is_network, is_number, is_prefix, version
from initfs.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

METRIC_MAX = 2**31 - 1
TABLE_MAX = 2**31 - 1
VLAN_MAX = 4094  # IEEE 802.1Q: 0 and 4095 are reserved
MTU_LEAST, MTU_MAX = 68, 65535  # RFC 791 3.2; ETH_MAX_MTU
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
DNSMASQ = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./:#@_-")


class Invalid(Exception):
    """A file says something that cannot be meant; the text names the line."""


@value
class Gateway:
    """A way to a network; METRIC 0 is the block's, GATEWAY "" is the link itself."""

    destination: str
    gateway: str
    metric: int = 0
    table: int = 0


@value
class Policy:
    """A rule of policy routing; PRIORITY 0 is chosen by us."""

    source: str
    target: str
    table: int
    priority: int = 0


@value
class Block:
    """What is asked of one interface."""

    interface: str
    kind: str = ""  # "" is an interface that is there, or comes; bridge, vlan, dummy are made
    ports: tuple[str, ...] = ()
    tag: int = 0
    parent: str = ""
    mtu: int = 0
    metric: int = 0
    fallback: bool = False  # its addresses count only while nobody else has one for this interface
    ra: str = ""  # on, off: whether router advertisements (IPv6) are heard; "" leaves it
    addresses: tuple[str, ...] = ()
    routes: tuple[Gateway, ...] = ()
    rules: tuple[Policy, ...] = ()
    dns: tuple[str, ...] = ()
    dns_priority: int = 0
    dnsmasq: tuple[str, ...] = ()  # lines of dnsmasq's own that stand for `dns` there
    domain: str = ""
    search: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def parse(text: str) -> tuple[Block, ...]:
    """The blocks of a file's TEXT, at least one; Invalid names the line and the reason."""
    blocks: list[Block] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split() if line.isascii() else [line]
        if not words:
            continue
        try:
            _take(blocks, words[0], words[1:])
        except Invalid as error:
            raise Invalid(f"line {number}: {error}") from None
    if not blocks:
        raise Invalid("there is no interface")
    return tuple(blocks)


def _take(blocks: list[Block], word: str, rest: list[str]) -> None:
    if word == "interface":
        blocks.append(Block(_only(rest, is_interface)))
        return
    if word not in LINES:
        raise Invalid(f"{word[:20]!r} is not known")
    if not blocks:
        raise Invalid(f"{word!r} before any interface")
    blocks[-1] = LINES[word](blocks[-1], rest)


def _only(words: list[str], check: Callable[[str], bool]) -> str:
    if len(words) != 1 or not check(words[0]):
        raise Invalid(f"{' '.join(words)[:40]!r} is not a value for it")
    return words[0]


def _single(field: str, check: Callable[[str], bool]) -> Callable[[Block, list[str]], Block]:
    """A line that stands once in a block."""

    def line(block: Block, words: list[str]) -> Block:
        if getattr(block, field):
            raise Invalid("given twice")
        return replace(block, **{field: _only(words, check)})

    return line


def _count(field: str, most: int, least: int = 1) -> Callable[[Block, list[str]], Block]:
    def line(block: Block, words: list[str]) -> Block:
        if getattr(block, field):
            raise Invalid("given twice")
        return replace(block, **{field: int(_only(words, lambda text: is_number(text, most, least)))})

    return line


def _several(field: str, check: Callable[[str], bool]) -> Callable[[Block, list[str]], Block]:
    """A line of one or more values that may stand several times; a value counts once."""

    def line(block: Block, words: list[str]) -> Block:
        if not words:
            raise Invalid("it has no value")
        values = [_only([word], check) for word in words]
        return replace(block, **{field: tuple(dict.fromkeys((*getattr(block, field), *values)))})

    return line


def _bridge(block: Block, words: list[str]) -> Block:
    """A bridge may have no port yet."""
    ports = _several("ports", is_interface)(block, words).ports if words else ()
    return replace(_made(block), kind="bridge", ports=ports)


def _vlan(block: Block, words: list[str]) -> Block:
    if len(words) != 2 or not is_number(words[0], VLAN_MAX, 1) or not is_interface(words[1]):
        raise Invalid("it is a number from 1 to 4094 and an interface")
    return replace(_made(block), kind="vlan", tag=int(words[0]), parent=words[1])


def _dummy(block: Block, words: list[str]) -> Block:
    if words:
        raise Invalid("it has no value")
    return replace(_made(block), kind="dummy")


def _made(block: Block) -> Block:
    if block.kind:
        raise Invalid(f"it is a {block.kind} already")
    return block


def _fallback(block: Block, words: list[str]) -> Block:
    if words:
        raise Invalid("it has no value")
    return replace(block, fallback=True)


def _gateway(block: Block, words: list[str]) -> Block:
    gateway = _only(words[:1], is_address)
    return _routed(block, ANYWHERE[version(gateway)], gateway, words[1:])


def _route(block: Block, words: list[str]) -> Block:
    destination = _only(words[:1], is_network)
    gateway = ""
    if words[1:2] == ["via"]:
        gateway = _only(words[2:3], is_address)
        words = words[2:]
    if destination == "default":
        destination = ANYWHERE[version(gateway) if gateway else 4]
    if gateway and version(gateway) != version(destination):
        raise Invalid("its gateway is of the other version of IP")
    return _routed(block, destination, gateway, words[1:])


def _routed(block: Block, destination: str, gateway: str, words: list[str]) -> Block:
    options = _pairs(words, {"metric": METRIC_MAX, "table": TABLE_MAX})
    route = Gateway(destination, gateway, options.get("metric", 0), options.get("table", 0))
    return replace(block, routes=tuple(dict.fromkeys((*block.routes, route))))


def _rule(block: Block, words: list[str]) -> Block:
    networks = {"from": "", "to": ""}
    while words[:1] and words[0] in networks:
        networks[words[0]] = _only(words[1:2], is_network)
        words = words[2:]
    options = _pairs(words, {"table": TABLE_MAX, "priority": 32765})
    if "table" not in options or not any(networks.values()):
        raise Invalid("it needs `from` or `to` a network, and `table` a number")
    rule = Policy(networks["from"], networks["to"], options["table"], options.get("priority", 0))
    return replace(block, rules=tuple(dict.fromkeys((*block.rules, rule))))


def _pairs(words: list[str], most: dict[str, int]) -> dict[str, int]:
    """Options at the end of a line: NAME NUMBER ..."""
    found: dict[str, int] = {}
    while words:
        name, number = words[0], words[1:2]
        if name not in most or name in found:
            raise Invalid(f"{name[:20]!r} is not known, or given twice")
        found[name] = int(_only(number, lambda text, limit=most[name]: is_number(text, limit, 1)))  # type: ignore[misc]
        words = words[2:]
    return found


def is_dnsmasq(text: str) -> bool:
    """Whether TEXT is a `server=...` line for dnsmasq: no other of its options can come from here."""
    return text.startswith("server=") and set(text.removeprefix("server=")) <= DNSMASQ and len(text) < 300


LINES: dict[str, Callable[[Block, list[str]], Block]] = {
    "address": _several("addresses", is_prefix),
    "bridge": _bridge,
    "dns": _several("dns", is_address),
    "dns-priority": _count("dns_priority", METRIC_MAX),
    "dnsmasq": _several("dnsmasq", is_dnsmasq),
    "domain": _single("domain", is_host),
    "dummy": _dummy,
    "fallback": _fallback,
    "gateway": _gateway,
    "host": _several("hosts", is_host),
    "metric": _count("metric", METRIC_MAX),
    "mtu": _count("mtu", MTU_MAX, MTU_LEAST),
    "ra": _single("ra", ("on", "off").__contains__),
    "route": _route,
    "rule": _rule,
    "search": _several("search", is_host),
    "vlan": _vlan,
}
