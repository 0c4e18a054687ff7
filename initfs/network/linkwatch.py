"""linkwatch: tell a handler when a cable is in or out, or a radio associated or not, as the kernel tells it (rtnetlink(7)).

The handler has busybox ifplugd's contract: `handler IFACE up|down`, IFPLUGD_PREVIOUS and IFPLUGD_CURRENT in its environment.
One process watches any number of interfaces: a pattern ends in a star.
"""

from __future__ import annotations

import os

from initfs import loop, options, process, rtnetlink, say, signals
from initfs.network import link
from initfs.network.names import is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.network.link import Watch

USAGE = "linkwatch [-u ms] [-d ms] [-x except] -r handler interface..."
SKIPPED = ("lo",)


def main(argv: list[str]) -> int:
    given, patterns = options.parse(argv[1:], "u:d:r:x:", USAGE)
    found = dict(given)
    if not patterns or "r" not in found or not all(map(is_pattern, patterns)):
        raise say.usage(USAGE)
    policy = link.Policy(
        options.number(found.get("u", "500"), USAGE) / 1000,
        options.number(found.get("d", "8000"), USAGE) / 1000,
    )
    skipped = {*SKIPPED, *(value for name, value in given if name == "x")}
    return Watcher(patterns, found["r"], policy, skipped).run()


class Watcher:
    """The interfaces, and what was told of each."""

    def __init__(self, patterns: list[str], handler: str, policy: link.Policy, skipped: set[str]) -> None:
        self.patterns, self.handler, self.policy, self.skipped = patterns, handler, policy, skipped
        self.watches: dict[str, Watch] = {}
        self.ended = False
        self.news = rtnetlink.subscribe(rtnetlink.LINKS)
        self.loop = loop.Loop()
        self.loop.watch(self.news.fileno(), self.heard)
        self.loop.on_signals(self.signalled, signals.TERM, signals.INT, signals.CHLD)
        self.children: dict[int, str] = {}

    def run(self) -> int:
        """Watch until told to end."""
        self.look()
        while not self.ended:
            self.tell()
            self.loop.turn(min((watch.deadline for watch in self.idle().values()), default=loop.NEVER))
        return say.OK

    def signalled(self, signum: int) -> None:
        if signum != signals.CHLD:
            self.ended = True
            return
        for pid, status in process.reap():
            name = self.children.pop(pid, "")
            if name and status:
                say.warning(f"{self.handler} {name}: wait status {status}")

    def wanted(self, name: str) -> bool:
        """Whether an interface is one of those to watch."""
        if name in self.skipped:
            return False
        return any(
            name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
            for pattern in self.patterns
        )

    def look(self) -> None:
        """What there is now, and what is gone."""
        there = {str(fields["name"]): fields["flags"] for _, fields in rtnetlink.dump("link")}
        for name in {*there, *self.watches, *(one for one in self.patterns if not one.endswith("*"))}:
            self.see(name, there.get(name))

    def heard(self) -> None:
        while (data := rtnetlink.receive(self.news)) != b"":
            if data is None:
                self.look()
                continue
            for kind, fields in rtnetlink.messages(data):
                if kind in ("link", "no link"):
                    self.see(str(fields["name"]), fields["flags"] if kind == "link" else None)

    def see(self, name: str, flags: object) -> None:
        """An interface is so. One that is named is brought up when it comes, as only then it knows whether it has a carrier."""
        if not self.wanted(name):
            return
        state = link.ERROR
        if isinstance(flags, int):
            state = link.UP if flags & rtnetlink.UP and flags & rtnetlink.RUNNING else link.DOWN
            old = self.watches.get(name)
            fresh = old is None or old.seen == link.ERROR
            if fresh and not flags & rtnetlink.UP and name in self.patterns:
                raise_interface(name)
        old = self.watches.get(name, link.Watch())
        self.watches[name] = link.seen(old, state, loop.now(), self.policy)

    def idle(self) -> dict[str, Watch]:
        """Those whose handler does not run: the next is told when the one before has understood."""
        busy = set(self.children.values())
        return {name: watch for name, watch in self.watches.items() if name not in busy}

    def tell(self) -> None:
        for name, watch in self.idle().items():
            previous = watch.told or link.ERROR
            self.watches[name], told = link.due(watch, loop.now())
            if told:
                self.handle(name, told, previous)

    def handle(self, name: str, told: str, previous: str) -> None:
        say.info(f"{name} is {told}")
        environment = {**os.environ, "IFPLUGD_PREVIOUS": previous, "IFPLUGD_CURRENT": told}
        try:
            pid = process.spawn(self.handler, [self.handler, name, told], environment, session=False)
        except OSError as error:
            say.warning(f"unable to run {self.handler}: {say.reason(error)}")
            return
        self.children[pid] = name


def raise_interface(name: str) -> None:
    """Bring an interface up, netdevice(7). That it is gone again is told in time."""
    import _socket
    from fcntl import ioctl
    from struct import pack, unpack

    asking = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = pack("16sH22x", name.encode(), 0)
        (flags,) = unpack("16xH22x", ioctl(asking.fileno(), 0x8913, request))  # SIOCGIFFLAGS
        ioctl(asking.fileno(), 0x8914, pack("16sH22x", name.encode(), flags | rtnetlink.UP))  # SIOCSIFFLAGS
    except OSError as error:
        say.info(f"unable to bring {name} up: {say.reason(error)}")
    finally:
        asking.close()
