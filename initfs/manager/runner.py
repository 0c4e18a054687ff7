"""rc-oneshot-runner: runs the scripts of oneshots for those who may ask, supervised, in its own clean environment.

A script that begins with one of our chain loaders is run by a copy of this interpreter, any other program is spawned: nobody waits for
an interpreter to start. What a client leaves behind by dying goes on; a time limit is kept here.
Source: `spec/service-manager.md` 6.4.
"""

from __future__ import annotations

import os
from errno import EACCES, EINVAL, ENOENT

from initfs import files, loop, options, process, say, signals
from initfs.chain import next as chain
from initfs.local import access, rules, sockets, warm
from initfs.local.sudo import server
from initfs.local.sudo.session import Manner
from initfs.manager import database, script
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.local.sockets import Peer
    from initfs.local.sudo.protocol import Order
    from initfs.manager.model import Database

USAGE = "rc-oneshot-runner [-b] -l live socket"
NOTIFICATION = 3
ORDER_WITHIN = 30.0  # seconds from a connection to its whole order
MOST = 1000  # scripts at once
ORDER_USAGE = "[-T ms] up|down|reload number"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "bl:", USAGE)
    found = dict(given)
    if len(rest) != 1 or "l" not in found:
        raise say.usage(USAGE)
    process.raise_descriptor_limit(6 * MOST)
    listener = sockets.bind(rest[0], blocking=False)
    listener.listen(sockets.MAXIMUM_BACKLOG)
    with_rules = rules.Directory("data/rules")
    runner = _Runner(found["l"], with_rules)
    around = loop.Loop()
    runner.around = around
    serving = server.Server(
        around, listener, runner.admit, runner.start, Manner(ORDER_WITHIN, detached=True), MOST
    )
    warm.ready()
    _announce()
    around.on_signals(lambda signum: runner.signalled(serving, signum), signals.CHLD, signals.TERM)
    while not serving.leaving:
        serving.turn(runner.nearest())
        runner.expire()
    return say.OK


def _announce() -> None:
    files.tried("announce readiness", lambda: os.write(NOTIFICATION, b"\n"))
    os.close(NOTIFICATION)


class _Runner:
    def __init__(self, live: str, given: rules.Directory) -> None:
        self.around: loop.Loop | None = None
        self._live = live
        self._rules = given
        self._seen: tuple[int, ...] = ()
        self._database: Database | None = None
        self._compiled = ""
        self._limits: dict[int, float] = {}
        self._environment = dict(os.environ)

    def admit(self, peer: Peer) -> bool:
        """Whether somebody may have scripts run."""
        keys = access.account_keys(peer.uid, peer.gid, os.geteuid(), os.getegid())
        return access.decide(keys, self._rules.look_up)[1].allowed

    def nearest(self) -> float:
        """When the next script must be over."""
        return min(self._limits.values(), default=loop.NEVER)

    def expire(self) -> None:
        """Ask the scripts to end that are not over in time."""
        now = loop.now()
        for pid in [pid for pid, until in self._limits.items() if until <= now]:
            del self._limits[pid]
            process.kill(pid, signals.TERM)
            process.kill(pid, signals.CONT)

    def signalled(self, serving: server.Server, signum: int) -> None:
        """A signal has come for the server."""
        if signum != signals.CHLD:
            serving.signalled(signum)
            return
        for pid, status in process.reap():
            self._limits.pop(pid, None)
            serving.died(pid, status)

    def start(self, order: Order) -> int:
        """Start a script; its pid. OSError: what is asked for makes no sense, or cannot be started."""
        which, number, milliseconds = _understood([os.fsdecode(word) for word in order.arguments])
        made = self._load()
        try:
            line = script.command(made, self._compiled, number, which)
        except IndexError:
            raise OSError(EINVAL, os.strerror(EINVAL)) from None
        variables = script.variables(made, number, which)
        pid = self._run(line or ["true"], variables, order)
        if milliseconds:
            self._limits[pid] = loop.now() + milliseconds / 1000
        return pid

    def _run(self, line: list[str], variables: dict[str, str], order: Order) -> int:
        pairs = [(fd, number) for number, fd in enumerate(order.descriptors)]
        if chain.ours(line):
            for word in line:
                if chain.ours([word]):
                    __import__(PROGRAMS[word])  # here, and not again in each copy
            return warm.fork(lambda: _become(line, variables), self.around, pairs)
        return _spawn(line, {**self._environment, **variables}, pairs)

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
    os.environ.update(variables)
    return chain.run(line, USAGE)


def _spawn(line: list[str], environment: dict[str, str], pairs: list[tuple[int, int]]) -> int:
    """Start a program that is no loader of ours. OSError: ENOENT when there is none of that name."""
    failed = OSError(ENOENT, os.strerror(ENOENT))
    for path in process.candidates(line[0], environment) if line[0] else ():
        if not os.access(path, os.X_OK):  # cheaper than a spawn that fails
            failed = OSError(EACCES, os.strerror(EACCES)) if os.path.isfile(path) else failed
            continue
        return process.spawn(path, line, environment, descriptors=pairs)
    raise failed
