"""The kernel's news of interfaces, addresses and routes, and of devices: netlink(7), rtnetlink(7), without a library.

For what waits or watches: a watcher by pyroute2's AsyncIPRoute has 22 MB (asyncio, and classes for every message there is), this
has one socket and what `struct` gives. Changing anything is `initfs.network.netlink`'s, which has pyroute2.
"""

from __future__ import annotations

import os
import select
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
    from collections.abc import Iterator

    Message = tuple[str, dict[str, object]]
else:
    import _socket

AF_NETLINK, NETLINK_ROUTE, NETLINK_UEVENT = 16, 0, 15
LINKS, ADDRESSES4, ADDRESSES6, ROUTES4, ROUTES6 = 1, 0x10, 0x100, 0x40, 0x400  # RTMGRP_*
EVERYTHING = LINKS | ADDRESSES4 | ADDRESSES6 | ROUTES4 | ROUTES6
RECEIVED = 1 << 20  # bytes that may wait for us in the kernel
SIZE = 1 << 16

UP, RUNNING = (
    1,
    0x40,
)  # IFF_*: RUNNING is carrier, and with Wi-Fi association and keys (RFC 2863: operational)
MAIN_TABLE = 254
SCOPE_UNIVERSE = 0
DONE, ERROR = 3, 2
_DUMP = 0x0301  # NLM_F_REQUEST | NLM_F_DUMP
_GET = {"link": 18, "address": 22, "route": 26}
_KINDS = {16: "link", 17: "no link", 20: "address", 21: "no address", 24: "route", 25: "no route"}
_HEADER, _ATTRIBUTE = Struct("=IHHII"), Struct("=HH")
_LINK, _ADDRESS, _ROUTE = Struct("=BxHiII"), Struct("=BBBBi"), Struct("=BBBBBBBBI")
_BODIES = {"link": _LINK, "address": _ADDRESS, "route": _ROUTE}
_NUMBER = Struct("=I")


def subscribe(groups: int = EVERYTHING) -> _socket.socket:
    """A non-blocking socket on which the kernel's news of these groups arrive."""
    found = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    found.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, RECEIVED)
    found.bind((0, groups))
    found.setblocking(False)
    return found


def devices() -> _socket.socket:
    """A non-blocking socket on which the kernel tells of devices that come and go, udev or not."""
    found = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_UEVENT)
    found.bind((0, 1))
    found.setblocking(False)
    return found


def receive(source: _socket.socket) -> bytes | None:
    """The next datagram, b"" when there is none now, None when the kernel had to drop some: look at everything anew."""
    try:
        return source.recv(SIZE)
    except BlockingIOError:
        return b""
    except OSError:  # ENOBUFS
        return None


def heard(source: _socket.socket, seconds: float) -> None:
    """Return when there was news, or the time is over; the news are taken: the caller looks at what there is."""
    select.select([source], [], [], max(0.0, seconds))
    while receive(source) != b"":
        pass


def dump(what: str) -> Iterator[Message]:
    """What there is now: of `link`, `address` or `route`."""
    asking = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    try:
        body = _BODIES[what].pack(*([0] * (5 if what != "route" else 9)))
        asking.send(_HEADER.pack(_HEADER.size + len(body), _GET[what], _DUMP, 1, 0) + body)
        while True:
            data = asking.recv(SIZE)
            for kind, message in _raw(data):
                if kind in (DONE, ERROR):
                    return
                yield from _known(kind, message)
    finally:
        asking.close()


def messages(data: bytes) -> Iterator[Message]:
    """(kind, fields) of each message in a datagram: kind is link, address, route, each also with `no` before it."""
    for kind, message in _raw(data):
        yield from _known(kind, message)


def _raw(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message; what is cut off is not there."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _known(number: int, body: bytes) -> Iterator[Message]:
    kind = _KINDS.get(number, "")
    layout = _BODIES.get(kind.removeprefix("no "))
    if layout is None or len(body) < layout.size:
        return
    head = layout.unpack_from(body)
    found = dict(_attributes(body[layout.size :]))
    if layout is _LINK:
        name = found.get(3, b"").rstrip(b"\0").decode(errors="replace")
        yield kind, {"name": name, "index": head[2], "flags": head[3]}
    elif layout is _ADDRESS:
        text = _text(head[0], found.get(2, found.get(1, b"")))
        yield kind, {"index": head[4], "address": text, "scope": head[3]}
    else:
        table = _NUMBER.unpack(found[15])[0] if len(found.get(15, b"")) == 4 else head[4]
        network = (
            _text(head[0], found[1]) if 1 in found else ("::" if head[0] == _socket.AF_INET6 else "0.0.0.0")
        )
        yield kind, {"destination": f"{network}/{head[1]}", "table": table}


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _text(family: int, raw: bytes) -> str:
    try:
        return _socket.inet_ntop(family, raw)
    except (ValueError, OSError):
        return ""


def uevent(data: bytes) -> dict[str, str]:
    """The fields of a kernel's message about a device: ACTION, DEVPATH, SUBSYSTEM, and what the subsystem adds."""
    words = data.decode(errors="replace").split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def running(interface: str) -> bool | None:
    """Whether an interface is operational now (as RUNNING says); None when there is no such interface.

    /sys has the flags without RUNNING, but the state that it is made of; interfaces that have none say `unknown`.
    """
    home = f"/sys/class/net/{os.path.basename(interface)}"
    try:
        with open(f"{home}/flags") as flags, open(f"{home}/operstate") as state:
            return bool(int(flags.read(), 16) & UP) and state.read().strip() in ("up", "unknown")
    except (OSError, ValueError):
        return None
