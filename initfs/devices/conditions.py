"""Conditions of the machine that a service may need: each looks at what there is, and names the news that may change it."""

from __future__ import annotations

import os

from initfs import files, rtnetlink
from initfs.network.names import is_address, is_interface, is_network
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK = "/run/initfs/clock/synchronized"  # there once the time is known, from the network or from a person
MOUNTS = "/proc/self/mountinfo"
DEFAULTS = ("0.0.0.0/0", "::/0")


@value
class Kind:
    """A kind of condition: which arguments it takes, how it is looked at, and what news are about it."""

    valid: Callable[[str], bool]
    holds: Callable[[str], bool]
    news: str  # route, device, mount, or a function's file: the directory to watch is found by the path


def device(name: str) -> bool:
    """A network interface NAME, or a device node: /dev/NAME."""
    path = name if name.startswith("/") else f"/dev/{name}"
    return (is_interface(name) and os.path.exists(f"/sys/class/net/{name}")) or os.path.exists(path)


def link(name: str) -> bool:
    """An interface with a carrier; a radio: associated."""
    return bool(rtnetlink.running(name))


def address(name: str) -> bool:
    """An address with a scope beyond the link: any of interface NAME, or exactly this one."""
    index = interface_index(name)
    return any(
        fields["scope"] == rtnetlink.SCOPE_UNIVERSE
        and (fields["address"] == name or (index and fields["index"] == index))
        for _, fields in rtnetlink.dump("address")
    )


def interface_index(name: str) -> int:
    text = files.read(f"/sys/class/net/{name}/ifindex") if is_interface(name) else None
    return int(text or 0)


def route(network: str) -> bool:
    """A route to exactly this network in the main table; `default` is that of either version of IP."""
    wanted = DEFAULTS if network == "default" else (network,)
    return any(
        fields["table"] == rtnetlink.MAIN_TABLE and fields["destination"] in wanted
        for _, fields in rtnetlink.dump("route")
    )


def mount(path: str) -> bool:
    """A file system mounted at PATH; mountinfo writes blanks and backslashes as octal numbers, proc(5)."""
    escaped = path.rstrip("/") or "/"
    for character in "\\ \t\n":
        escaped = escaped.replace(character, f"\\{ord(character):03o}")
    lines = (files.read(MOUNTS, size=1 << 20) or b"").decode(errors="replace").splitlines()
    return any(len(words := line.split()) > 4 and words[4] == escaped for line in lines)


KINDS: dict[str, Kind] = {
    "address": Kind(lambda text: is_interface(text) or is_address(text), address, "route"),
    "device": Kind(bool, device, "device"),
    "file": Kind(lambda text: text.startswith("/"), os.path.exists, "file"),
    "link": Kind(is_interface, link, "route"),
    "mount": Kind(lambda text: text.startswith("/"), mount, "mount"),
    "route": Kind(is_network, route, "route"),
}
