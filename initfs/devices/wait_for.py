"""wait-for: wait until the machine is so, then run a program: device, link, address, route, clock, mount, file.

It waits for the kernel's news and looks again at each; nothing is polled. In a service's `run` it states what the service needs;
with -n, which only looks, it is a check for `notifyoncheck`.
"""

from __future__ import annotations

import os
import select

from initfs import options, rtnetlink, say, signals
from initfs.chain import next as chain
from initfs.devices.conditions import CLOCK, KINDS, MOUNTS
from initfs.loop import NEVER, Loop, now
from initfs.supervise.watch import watch

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
    news = News(loop, what)
    try:
        look = {"route": news.routes, "device": news.devices, "mount": news.mounts, "file": news.files}
        look[KINDS[kind].news]()  # from here on nothing is missed
        while not KINDS[kind].holds(what):
            if now() >= deadline:
                return False
            loop.turn(deadline)
            news.again()
        return True
    finally:
        news.close()
        loop.close()


class News:
    """What makes the loop turn when something may have changed."""

    def __init__(self, loop: Loop, what: str) -> None:
        self.loop, self.what = loop, what
        self.again: Callable[[], None] = lambda: None  # what is to be done anew after each piece of news
        self._sockets: list[_socket.socket] = []
        self._fds: list[int] = []

    def routes(self) -> None:
        self._drained(rtnetlink.subscribe())

    def devices(self) -> None:
        self._drained(rtnetlink.devices())

    def _drained(self, source: _socket.socket) -> None:
        def drain() -> None:
            while rtnetlink.receive(source) != b"":
                pass

        self._sockets.append(source)
        self.loop.watch(source.fileno(), drain)

    def mounts(self) -> None:
        """The file announces a change by an exceptional condition, proc(5), and is quiet again when it was read anew."""
        fd = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._fds.append(fd)

        def reread() -> None:
            os.lseek(fd, 0, os.SEEK_SET)
            while os.read(fd, 65536):
                pass

        reread()
        self.loop.watch(fd, reread, select.EPOLLPRI | select.EPOLLERR)

    def files(self) -> None:
        """The kernel tells of the nearest directory there is; when the next one comes, of that."""
        self.loop.on_signals(lambda _: None, signals.IO)
        self.again = self._nearest
        self._nearest()

    def _nearest(self) -> None:
        """Watch, then look whether a nearer one came meanwhile."""
        directory = ""
        while directory != (nearest := _nearest_directory(self.what)):
            directory = nearest
            for fd in self._fds:
                os.close(fd)
            self._fds = [watch(directory, -1)]

    def close(self) -> None:
        """No news from here on. A signal that is on its way must not end us, nor be blocked or ignored in what we become."""
        for fd in self._fds:
            os.close(fd)
        for source in self._sockets:
            source.close()
        signals.ignore(signals.IO)
        signals.default(signals.IO)


def _nearest_directory(path: str) -> str:
    directory = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory
