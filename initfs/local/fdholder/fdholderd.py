"""fdholderd: hold descriptors for others, by name, for those whom a rule gives the right. The listening socket is descriptor 0.

Source: `spec/localservices.md` 5.6.
"""

from __future__ import annotations

import os

from initfs import files, loop, process, say, signals
from initfs.local import rules as access_rules
from initfs.local import sockets
from initfs.local.fdholder.keeping import Keeper
from initfs.local.fdholder.server import Limits, Server
from initfs.options import number, parse

USAGE = "fdholderd [-1] [-v n] [-c clients] [-n descriptors] [-t ms] [-T ms] [-K fd] -i dir | -x file"
CLIENTS_MAX = 256
SPARE = 600  # descriptors beside those held: clients, the dumps that they set, the loop, standard ones


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "1v:c:n:t:T:K:i:x:", USAGE)
    given = dict(found)
    if rest or len(given.keys() & {"i", "x"}) != 1:
        raise say.usage(USAGE)
    limits = _limits(given)
    files.have_standard_descriptors()
    if not sockets.listening(0):
        raise say.Fatal(say.USAGE, "descriptor 0 is not a Unix socket that listens")
    try:
        known = access_rules.opened(given.get("i"), given.get("x"))
    except OSError as error:
        raise say.unable("read the rules", error) from error
    assert known is not None
    limits = _within(limits, process.raise_descriptor_limit(limits.descriptors + SPARE))
    listener = sockets.of(0)
    listener.setblocking(False)
    around = loop.Loop()
    server = Server(around, listener, known, limits, _keeper(given))
    server.verbose = number(given.get("v", "1"), USAGE)
    around.on_signals(
        lambda signum: server.leave() if signum == signals.TERM else server.reload(),
        signals.TERM,
        signals.HUP,
    )
    signals.ignore(signals.PIPE)
    if "1" in given:
        os.write(1, b"\n")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 1, inheritable=False)  # the number must not become a client's
        os.close(null)
    return server.run()


def _limits(given: dict[str, str]) -> Limits:
    clients = number(given.get("c", "16"), USAGE, 1)
    descriptors = number(given.get("n", "1000"), USAGE, 1)
    if clients > CLIENTS_MAX:
        raise say.usage(USAGE)
    return Limits(clients, descriptors, seconds(given, "t"), seconds(given, "T"))


def _within(limits: Limits, room: int) -> Limits:
    """The limits that a process with ROOM for open files can keep: a client, what it stores, the loop and the standard ones come first."""
    possible = max(1, room - 2 * limits.clients - 16)
    if possible >= limits.descriptors:
        return limits
    say.warning(f"room for {possible} descriptors only: RLIMIT_NOFILE is {room}")
    return Limits(limits.clients, possible, limits.idle, limits.lame)


def _keeper(given: dict[str, str]) -> Keeper | None:
    if "K" not in given:
        return None
    try:
        return Keeper(number(given["K"], USAGE))
    except OSError as error:
        raise say.unable(f"keep descriptors in the pair {given['K']}", error, say.USAGE) from error


def seconds(given: dict[str, str], letter: str) -> float:
    """The time that the option LETTER gives in milliseconds, in seconds; 0 and nothing mean no limit."""
    return number(given.get(letter, "0"), USAGE) / 1000 or loop.NEVER
