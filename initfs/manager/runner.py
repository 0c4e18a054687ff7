"""rc-oneshot-runner: runs the scripts of oneshots for those who may ask, supervised, in its own clean environment.

They ask in one of two ways: `rc` on a kept connection (`orders.py`), anybody else as `svsudo` does, on one for each script. A script that
begins with one of our chain loaders is run by a copy of this interpreter, any other program is spawned: nobody waits for an interpreter to
start. What a client leaves behind by dying goes on; a time limit is kept here.
Source: `spec/service-manager.md` 6.4.
"""

from __future__ import annotations

import os
from errno import EINVAL

from initfs import files, loop, options, process, say, signals
from initfs.chain import next as chain
from initfs.local import access, rules, sockets, starting, warm
from initfs.local.sudo import server
from initfs.local.sudo.session import Manner
from initfs.manager import database, orders, script, serving
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

    from initfs.local.sockets import Peer
    from initfs.local.sudo.protocol import Order
    from initfs.manager.model import Database

USAGE = "rc-oneshot-runner [-b] -l live socket"
NOTIFICATION = 3
ORDER_WITHIN = 30.0  # seconds from a connection to its whole order
MOST = 1000  # scripts at once
ASKING = 100  # clients with a connection for one script
ORDER_USAGE = "[-T ms] up|down|reload number"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "bl:", USAGE)
    found = dict(given)
    if len(rest) != 1 or "l" not in found:
        raise say.usage(USAGE)
    runner = _Runner(found["l"], _listening(rest[0]), _listening(orders.SOCKET))
    warm.ready()
    _announce()
    return runner.run()


def _listening(path: str) -> socket:
    listener = sockets.bind(path, blocking=False)
    listener.listen(sockets.MAXIMUM_BACKLOG)
    return listener


def _announce() -> None:
    files.tried("announce readiness", lambda: os.write(NOTIFICATION, b"\n"))
    os.close(NOTIFICATION)


class _Runner:
    """Runs scripts of the live directory LIVE for those who come to ASKING, as `svsudo` does, or to ORDERING, as `rc` does."""

    def __init__(self, live: str, asking: socket, ordering: socket) -> None:
        self._live = live
        self._rules = rules.Directory("data/rules")
        self._seen: tuple[int, ...] = ()
        self._database: Database | None = None
        self._compiled = ""
        self._limits: dict[int, float] = {}
        self._environment = dict(os.environb)
        self._path = os.environ.get("PATH")
        self._listening = [asking.fileno(), ordering.fileno()]
        self._loop = loop.Loop()
        self._asked = server.Server(
            self._loop, asking, self._admit, self._start, Manner(ORDER_WITHIN, detached=True), ASKING
        )
        self._ordered = serving.Server(self._loop, ordering, self._admit, self._begin, MOST)

    def run(self) -> int:
        """Serve until TERM, or until a client has come with a newer installation; what runs goes on then."""
        self._loop.on_signals(self._signalled, signals.CHLD, signals.TERM)
        while not (self._asked.leaving or self._ordered.outdated):
            self._asked.turn(min(self._ordered.retry, min(self._limits.values(), default=loop.NEVER)))
            self._expire()
            self._ordered.work()
        if self._ordered.outdated:
            say.warning("ending, so that what is installed now is started")
        return say.OK

    def _admit(self, peer: Peer) -> bool:
        """Whether somebody may have scripts run."""
        keys = access.account_keys(peer.uid, peer.gid, os.geteuid(), os.getegid())
        return access.decide(keys, self._rules.look_up)[1].allowed

    def _expire(self) -> None:
        """Ask the scripts to end that are not over in time."""
        now = loop.now()
        for pid in [pid for pid, until in self._limits.items() if until <= now]:
            del self._limits[pid]
            self._ordered.late(pid)
            process.kill(pid, signals.TERM)
            process.kill(pid, signals.CONT)

    def _signalled(self, signum: int) -> None:
        if signum != signals.CHLD:
            self._asked.signalled(signum)
            return
        for pid, status in process.reap():
            self._limits.pop(pid, None)
            if not self._ordered.died(pid, status):
                self._asked.died(pid, status)

    def _start(self, order: Order) -> int:
        """Start a script that is asked for in words; its pid. OSError."""
        return self._begin(*_understood([os.fsdecode(word) for word in order.arguments]), order.descriptors)

    def _begin(self, which: int, number: int, milliseconds: int, descriptors: Sequence[int]) -> int:
        """Start a script; its pid. OSError: what is asked for makes no sense, or cannot be started."""
        made = self._load()
        try:
            line = script.command(made, self._compiled, number, which)
        except IndexError:
            raise OSError(EINVAL, os.strerror(EINVAL)) from None
        variables = script.variables(made, number, which)
        pid = self._run(line or ["true"], variables, descriptors)
        if milliseconds:
            self._limits[pid] = loop.now() + milliseconds / 1000
        return pid

    def _run(self, line: list[str], variables: dict[str, str], descriptors: Sequence[int]) -> int:
        pairs = [(fd, number) for number, fd in enumerate(descriptors)]
        if chain.ours(line):
            for word in line:
                if chain.ours([word]):
                    __import__(PROGRAMS[word])  # here, and not again in each copy
            closing = [*self._listening, *self._ordered.held()]
            return warm.fork(lambda: _become(line, variables), self._loop, pairs, closing=closing)
        added = {os.fsencode(name): os.fsencode(text) for name, text in variables.items()}
        return starting.spawn(line, {**self._environment, **added}, pairs, self._path, group=True)

    def _load(self) -> Database:
        """The database, read again when it is another one."""
        path = f"{self._live}/compiled"
        now = os.stat(f"{path}/db")
        seen = (now.st_dev, now.st_ino, now.st_mtime_ns, now.st_size)
        if self._database is None or seen != self._seen:
            try:
                self._database = database.load(path)
            except say.Fatal as fatal:
                say.warning(str(fatal))
                raise OSError(EINVAL, os.strerror(EINVAL)) from None
            self._seen, self._compiled = seen, os.path.realpath(path)
        return self._database


def _understood(words: list[str]) -> tuple[int, int, int]:
    """(which script, of which service, milliseconds) of an order. OSError EINVAL."""
    try:
        given, rest = options.parse(words, "T:", ORDER_USAGE)
        if len(rest) != 2 or rest[0] not in script.WORDS:
            raise say.usage(ORDER_USAGE)
        limit = options.number(dict(given).get("T", "0"), ORDER_USAGE)
        return script.WORDS[rest[0]], options.number(rest[1], ORDER_USAGE), limit
    except say.Fatal:
        raise OSError(EINVAL, os.strerror(EINVAL)) from None


def _become(line: list[str], variables: dict[str, str]) -> int:
    os.setpgid(0, 0)
    os.environ.update(variables)
    return chain.run(line, USAGE)
