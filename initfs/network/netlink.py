"""The kernel's network by netlink: read as values, changed one operation at a time. The only module that imports pyroute2.

`import pyroute2` loads everything it has, and with it ssl, sqlite3, multiprocessing, unittest: 33 MB and 340 modules, of which
dumps and requests need two thirds. So the package itself is never executed, only the modules below it, and what these import
for things that are not done here is replaced. That leans on pyroute2's insides: its version is pinned (pyproject.toml), and
tests/process/test_network_import.py holds memory and modules to a budget.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

from initfs import say
from initfs.network.model import ALIAS, MAIN_TABLE, OURS, Actual, Address, Link, Operation, Route, Rule
from initfs.network.names import broadcast_of, version
from initfs.network.wanted import ANYWHERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar

    T = TypeVar("T")

PACKAGE = "pyroute2"
# Modules that pyroute2's import, or that Python's do for another system's sake, and that nothing here uses; with the names that
# their importers want. Traffic control, probes and a kernel made of nothing are pyroute2's own. They are left out of images, too.
REPLACED: dict[str, tuple[str, ...]] = {
    "_py_abc": (),
    "asyncio.windows_events": (),
    "ctypes._aix": (),
    "ctypes.util": ("find_library",),
    "importlib._bootstrap": (),
    "importlib._bootstrap_external": (),
    "multiprocessing": ("Process", "Pipe", "Queue"),
    "multiprocessing.connection": (),
    "multiprocessing.shared_memory": (),
    "pyroute2.iproute.bsd": (),
    "pyroute2.iproute.darwin": (),
    "pyroute2.iproute.ipmock": ("IPEngine",),
    "pyroute2.iproute.windows": (),
    "pyroute2.netlink.rt_files": (
        "GroupFile",
        "NlProtosFile",
        "RtAddrProtosFile",
        "RtDsfieldFile",
        "RtProtosFile",
        "RtRealmsFile",
        "RtScopesFile",
        "RtTablesFile",
        "TcClsFile",
    ),
    "pyroute2.netlink.rtnl.probe_msg": ("probe_msg", "proxy_newprobe"),
    "pyroute2.netlink.rtnl.tcmsg": ("plugins", "tcmsg"),
    "ssl": (),
    "unittest": (),
    "unittest.mock": ("Mock",),
}
# Those of them that somebody imports on this system.
IMPORTED = (
    "ctypes.util",
    "multiprocessing",
    "pyroute2.iproute.ipmock",
    "pyroute2.netlink.rt",
    "ssl",
    "unittest",
)
FAMILIES = (2, 10)  # AF_INET, AF_INET6
IFF_UP = 1
SCOPE_LINK = 253
ONLINK = 4  # RTNH_F_ONLINK
RTN_UNICAST, FR_ACT_TO_TBL = 1, 1


def load() -> Any:
    """pyroute2's IPRoute, loaded lightly."""
    if PACKAGE not in sys.modules:
        _load()
    from pyroute2.iproute.linux import IPRoute  # type: ignore[import-untyped]

    return IPRoute


def _load() -> None:
    found = find_spec(PACKAGE)
    if found is None or found.submodule_search_locations is None:
        raise say.Fatal(say.USAGE, f"unable to reach the kernel: the Python package {PACKAGE} is not there")
    sys.modules["ssl"] = None  # type: ignore[assignment] # asyncio then goes without
    import asyncio  # noqa: F401

    for name, attributes in REPLACED.items():
        if name.startswith(IMPORTED):
            module = ModuleType(name)
            module.__dict__.update({attribute: type(attribute, (), {}) for attribute in attributes})
            sys.modules[name] = module
            above, _, last = name.rpartition(".")
            if above in sys.modules:
                setattr(sys.modules[above], last, module)
    package = ModuleType(PACKAGE)
    package.__path__ = list(found.submodule_search_locations)
    package.__spec__ = found
    sys.modules[PACKAGE] = package


class Kernel:
    """A netlink socket. `with Kernel() as kernel: kernel.actual()`, `kernel.obey(operation)`."""

    def __enter__(self) -> Self:
        self._socket = load()()
        self._names: dict[int, str] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def actual(self) -> Actual:
        """What is there now. Raises OSError."""
        self._ours: set[object] = set()
        messages = list(self._socket.get_links())
        self._names = {message["index"]: str(message.get("ifname")) for message in messages}
        links = tuple(self._link(message) for message in messages)
        addresses = frozenset(filter(None, map(self._address, self._socket.get_addr())))
        routes: set[Route] = set()
        rules: set[Rule] = set()
        for family in FAMILIES:
            routes |= set(filter(None, map(self._route, self._socket.get_routes(family=family))))
            rules |= set(filter(None, map(self._rule, self._socket.get_rules(family=family))))
        indexes = tuple((name, index) for index, name in self._names.items())
        return Actual(links, addresses, frozenset(routes), frozenset(rules), frozenset(self._ours), indexes)

    def _link(self, message: Any) -> Link:
        name = self._names[message["index"]]
        info = message.get("linkinfo")
        kind = str(info.get("kind") or "") if info else ""
        data = info.get("data") if info else None
        tag = (data.get("vlan_id") or 0) if kind == "vlan" and data else 0
        parent = self._names.get(message.get("link") or 0, "") if kind == "vlan" else ""
        master = self._names.get(message.get("master") or 0, "")
        if message.get("ifalias") == ALIAS:
            self._ours.add(name)
        return Link(name, kind, parent, tag, master, message.get("mtu") or 0, bool(message["flags"] & IFF_UP))

    def _address(self, message: Any) -> Address | None:
        text = message.get("local") or message.get("address")
        name = self._names.get(message["index"])
        if not text or not name or message["scope"] == SCOPE_LINK:
            return None
        return self._known(Address(name, f"{text}/{message['prefixlen']}"), message.get("proto"))

    def _route(self, message: Any) -> Route | None:
        """A unicast route by one interface; what the kernel and routing daemons do beside is none of our business."""
        name = self._names.get(message.get("oif") or 0)
        if message["type"] != RTN_UNICAST or name is None:
            return None
        network = message.get("dst")
        destination = f"{network}/{message['dst_len']}" if network else ANYWHERE[_version(message["family"])]
        table = message.get("table") or message["table"] or MAIN_TABLE
        route = Route(name, destination, message.get("gateway") or "", message.get("priority") or 0, table)
        return self._known(route, message["proto"])

    def _rule(self, message: Any) -> Rule | None:
        if message["action"] != FR_ACT_TO_TBL:
            return None
        source, target = (
            f"{message.get(word)}/{message[f'{word}_len']}" if message.get(word) else ""
            for word in ("src", "dst")
        )
        rule = Rule(source, target, message.get("table") or message["table"], message.get("priority") or 0)
        return self._known(rule, message.get("protocol"))

    def _known(self, thing: T, protocol: int | None) -> T:
        if protocol == OURS:
            self._ours.add(thing)
        return thing

    # Changes -------------------------------------------------------------------------------------

    def obey(self, operation: Operation) -> None:
        """Do it. Raises OSError with the kernel's reason."""
        try:
            match operation.subject:
                case Link():
                    self._change_link(operation, operation.subject)
                case Address(interface, prefix):
                    self._change_address(operation.verb, interface, prefix)
                case Route():
                    self._change_route(operation, operation.subject)
                case Rule():
                    self._change_rule(operation.verb, operation.subject)
        except Exception as error:  # pyroute2's own, with the kernel's number
            code = getattr(error, "code", None)
            if isinstance(error, OSError) or not isinstance(code, int):
                raise
            raise OSError(code, "") from error

    def _index(self, name: str) -> int:
        found = self._socket.link_lookup(ifname=name)
        if not found:
            raise OSError(19, f"no interface {name}")  # ENODEV
        return int(found[0])

    def _change_link(self, operation: Operation, link: Link) -> None:
        match operation.verb, operation.change:
            case "add", _:
                about: dict[str, object] = {"ifname": link.name, "kind": link.kind}
                if link.kind == "vlan":
                    about |= {"link": self._index(link.parent), "vlan_id": link.tag}
                self._socket.link("add", **about)
                self._socket.link("set", index=self._index(link.name), ifalias=ALIAS)
            case "delete", _:
                self._socket.link("del", index=self._index(link.name))
            case "set", ("master", master):
                index = self._index(str(master)) if master else 0
                self._socket.link("set", index=self._index(link.name), master=index)
            case "set", ("mtu", mtu):
                self._socket.link("set", index=self._index(link.name), mtu=mtu)
            case "set", ("up", up):
                self._socket.link("set", index=self._index(link.name), state="up" if up else "down")

    def _change_address(self, verb: str, interface: str, prefix: str) -> None:
        address, _, length = prefix.partition("/")
        about: dict[str, object] = {
            "index": self._index(interface),
            "address": address,
            "prefixlen": int(length),
        }
        if verb == "add":
            about["proto"] = OURS
            if broadcast_of(prefix):
                about["broadcast"] = broadcast_of(prefix)
        self._socket.addr("add" if verb == "add" else "del", **about)

    def _change_route(self, operation: Operation, route: Route) -> None:
        about: dict[str, object] = {
            "dst": route.destination,
            "oif": self._index(route.interface),
            "priority": route.metric,
            "table": route.table,
            "proto": OURS,
            "family": FAMILIES[version(route.destination) == 6],
        }
        if route.gateway:
            about["gateway"] = route.gateway
        if operation.onlink:
            about["flags"] = ONLINK
        self._socket.route({"delete": "del"}.get(operation.verb, operation.verb), **about)

    def _change_rule(self, verb: str, rule: Rule) -> None:
        about: dict[str, object] = {"table": rule.table, "priority": rule.priority, "protocol": OURS}
        for word, text in (("src", rule.source), ("dst", rule.target)):
            if text:
                network, _, length = text.partition("/")
                about |= {word: network, f"{word}_len": int(length)}
        about["family"] = FAMILIES[version(rule.source or rule.target) == 6]
        self._socket.rule("add" if verb == "add" else "del", **about)


def _version(family: int) -> int:
    return 6 if family == FAMILIES[1] else 4
