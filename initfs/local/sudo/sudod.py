"""sudod: run one program for a client of a local service, with the client's descriptors and arguments and nothing else of it.

Between ipcserverd, which made the connection its descriptors 0 and 1, and the program. Source: `spec/localservices.md` 5.5.
"""

from __future__ import annotations

import os

from initfs import files, loop, process, say, signals
from initfs.local import sockets
from initfs.local.sudo import protocol
from initfs.local.sudo.server import spawn
from initfs.local.sudo.session import Manner, Session
from initfs.options import number, parse
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initfs.local.sudo.protocol import Order

USAGE = "sudod [-0] [-1] [-2] [-d] [-t ms] [argument...]"


@value
class Orders:
    """One command line of sudod, understood: which descriptors are ours (None: /dev/null), and what is run."""

    words: tuple[str, ...]
    sources: tuple[str, ...]  # of descriptor 0, 1 and 2 each: client, null or own
    detached: bool
    timeout: float  # seconds

    def start(self, order: Order, environment: Mapping[bytes, bytes], null: int, stderr: int) -> int:
        """Start what ORDER asks for; the pid. OSError, EINVAL when there is nothing to run."""
        argv = [*map(os.fsencode, self.words), *order.arguments]
        if not argv:
            raise OSError(22, os.strerror(22))
        choices = {"null": null, "own": stderr}
        given = tuple(
            choices.get(source, came) for source, came in zip(self.sources, order.descriptors, strict=True)
        )
        return spawn(argv, protocol.filtered(environment, order.variables), given)


def understood(argv: list[str]) -> Orders:
    """What a command line means. Fatal 100."""
    found, rest = parse(argv[1:], "012dt:", USAGE)
    given = dict(found)
    detached = "d" in given
    sources = (
        "null" if detached or "0" in given else "client",
        "null" if detached or "1" in given else "client",
        "own" if detached or "2" in given else "client",
    )
    timeout = number(given.get("t", "0"), USAGE) / 1000 or loop.NEVER
    return Orders(tuple(rest), sources, detached, timeout)


def main(argv: list[str]) -> int:
    orders = understood(argv)
    files.have_standard_descriptors()
    around = loop.Loop()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # The connection must not be inherited, nor its places filled by what a program would take for its own descriptors.
    reading, writing = (sockets.of(_aside(fd, null)) for fd in (0, 1))
    environment = dict(os.environb)
    over: list[Session] = []
    session = Session(
        around,
        reading,
        writing,
        lambda order: orders.start(order, environment, null, 2),
        over.append,
        Manner(loop.now() + orders.timeout, orders.detached),
    )

    def signalled(_: int) -> None:
        for pid, status in process.reap():
            if pid == session.pid:
                session.died(status)

    around.on_signals(signalled, signals.CHLD)
    while not over:
        around.turn(session.deadline)
        if session.deadline <= loop.now():
            session.expired()
    return say.OK if session.good else say.NO


def _aside(fd: int, null: int) -> int:
    copy = os.dup(fd)
    os.dup2(null, fd)
    return copy
