"""wait-for: wait until the machine is so, then run a program: device, link, address, route, clock, mount, file.

It waits for the kernel's news and looks again at each; nothing is polled. In a service's `run` it states what the service needs;
with -n, which only looks, it is a check for `notifyoncheck`.
"""

from __future__ import annotations

import os
import select

from initfs import options, rtnetlink, say
from initfs.chain import next as chain
from initfs.devices.conditions import CLOCK, KINDS, MOUNTS
from initfs.loop import NEVER, Loop, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
    from collections.abc import Callable

USAGE = "wait-for [-n | -t ms] device|link|address|route|mount|file what [prog...]; wait-for [-n | -t ms] clock [prog...]"


def main(argv: list[str]) -> int:
    """Exit code 99 when the time is over, 1 with -n when it is not so, 0 when it is and there is no program."""
    given, rest = options.parse(argv[1:], "nt:", USAGE)
    found = dict(given)
    if rest[:1] == ["clock"]:
        rest = ["file", CLOCK, *rest[1:]]
    if len(rest) < 2 or rest[0] not in KINDS or not KINDS[rest[0]].valid(rest[1]):
        raise say.usage(USAGE)
    kind, what, *program = rest
    if "n" in found:
        if not KINDS[kind].holds(what):
            return say.NO
    else:
        limit = options.number(found.get("t", "0"), USAGE)
        if not wait(kind, what, now() + limit / 1000 if limit else NEVER):
            return say.TIMED_OUT
    return chain.run(program, USAGE) if program else say.OK


def wait(kind: str, what: str, deadline: float) -> bool:
    """Return True as soon as it is so, False when the deadline has come."""
    loop = Loop()
    try:
        news = {"route": _routes, "device": _devices, "mount": _mounts, "file": _files}[KINDS[kind].news]
        again = news(loop, what)  # from here on nothing is missed
        while not KINDS[kind].holds(what):
            if now() >= deadline:
                return False
            loop.turn(deadline)
            again()
        return True
    finally:
        loop.close()


def _nothing() -> None:
    """What is watched stays watched."""


def _routes(loop: Loop, _what: str) -> Callable[[], None]:
    return _drained(loop, rtnetlink.subscribe())


def _devices(loop: Loop, _what: str) -> Callable[[], None]:
    return _drained(loop, rtnetlink.devices())


def _drained(loop: Loop, source: _socket.socket) -> Callable[[], None]:
    def drain() -> None:
        while rtnetlink.receive(source) != b"":
            pass

    loop.watch(source.fileno(), drain)
    return _nothing


def _mounts(loop: Loop, _what: str) -> Callable[[], None]:
    """The file announces a change by an exceptional condition, proc(5), and is quiet again when it was read anew."""
    fd = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)

    def reread() -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        while os.read(fd, 65536):
            pass

    reread()
    loop.watch(fd, reread, select.EPOLLPRI | select.EPOLLERR)
    return _nothing


def _files(loop: Loop, what: str) -> Callable[[], None]:
    """Watch the nearest directory there is; when the next one comes, that."""
    from initfs import signals
    from initfs.supervise.watch import watch

    watched: dict[str, int] = {}
    root = os.open("/", os.O_RDONLY | os.O_CLOEXEC)

    def nearest() -> None:
        """Again until nothing appeared between looking and watching."""
        while True:
            directory = os.path.dirname(os.path.abspath(what))
            while not os.path.isdir(directory):
                directory = os.path.dirname(directory)
            if directory in watched:
                return
            for old in watched.values():
                os.close(old)
            watched.clear()
            watched[directory] = watch(directory, root)

    loop.on_signals(lambda _: None, signals.IO)
    nearest()
    return nearest
