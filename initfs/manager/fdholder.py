"""rc-fdholder: the descriptor holder of a live directory: one pipe for each consumer, there before anybody can ask.

Readiness is announced once the pipes are held; when they can't be made, it ends, and the supervisor tries again.
Source: `spec/service-manager.md` 6.4.
"""

from __future__ import annotations

import os

from initfs import files, loop, options, process, say, signals
from initfs.local import rules, sockets
from initfs.local.fdholder.holding import Held
from initfs.local.fdholder.server import Limits, Server
from initfs.manager.definition import lines
from initfs.manager.model import READING, WRITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = "rc-fdholder [-n descriptors] [-h user] socket"
NOTIFICATION = 3
SPARE = 600  # descriptors beside those that are held
LIST = "data/autofilled"
MOST = 1 << 24  # bytes of it


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "n:h:", USAGE)
    found = dict(given)
    if len(rest) != 1:
        raise say.usage(USAGE)
    most = options.number(found.get("n", "256"), USAGE, 1)
    process.raise_descriptor_limit(most + SPARE)
    listener = sockets.bind(rest[0], blocking=False)
    listener.listen(sockets.MAXIMUM_BACKLOG)
    if "h" in found:
        _become(found["h"])
    around = loop.Loop()
    server = Server(around, listener, rules.Directory("data/rules"), Limits(clients=256, descriptors=most))
    for name, fd in pipes(consumers()):
        server.holding.put(name, Held(fd))
    files.tried("announce readiness", lambda: os.write(NOTIFICATION, b"\n"))
    os.close(NOTIFICATION)
    around.on_signals(
        lambda signum: server.leave() if signum == signals.TERM else server.reload(),
        signals.TERM,
        signals.HUP,
    )
    signals.ignore(signals.PIPE)
    return server.run()


def consumers() -> list[str]:
    """The consumers that this holder is for. say.Fatal 111."""
    try:
        return lines(files.read(LIST, size=MOST) or b"")
    except OSError as error:
        raise say.unable(f"read {LIST}", error) from error


def pipes(names: list[str]) -> Iterator[tuple[bytes, int]]:
    """A new pipe for each of these consumers: (identifier, descriptor) of each end. OSError."""
    for name in names:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        yield os.fsencode(READING + name), reading
        yield os.fsencode(WRITING + name), writing


def _become(user: str) -> None:
    from initfs.chain import identity, setuidgid

    identity.become(*setuidgid.ids(user))
