"""ipcserverd: accept connections on the Unix socket that is descriptor 0, and run a program for each, with it as 0 and 1.

A program of ours (a chain that begins with a loader, ipcserver-access, sudod...) runs in a copy of this interpreter, without a start.
Source: `spec/localservices.md` 5.2.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.chain import next as chain
from initfs.local import assistant, checking, ipcserver_access, links, serving, sockets, starting, warm
from initfs.loop import Loop
from initfs.options import number, parse
from initfs.programs import PROGRAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.local.serving import Variables

USAGE = "ipcserverd [-1] [-v 0 | 1 | 2] [-P | -p] [-c connections] [-C connections per uid] prog..."
MOST = 16384


def main(argv: list[str]) -> int:
    found, program = parse(argv[1:], "1v:Ppc:C:", USAGE)
    given = dict(found)
    if not program:
        raise say.usage(USAGE)
    limits = limits_of(given, found)
    verbose = number(given.get("v", "1"), USAGE)
    files.have_standard_descriptors()
    if not sockets.listening(0):
        raise say.Fatal(say.USAGE, "descriptor 0 is not a Unix socket that listens")
    around = Loop()
    listener = sockets.of(os.dup(0))
    os.set_inheritable(listener.fileno(), False)
    null = os.open("/dev/null", os.O_RDWR)  # nobody is to inherit the listener
    os.dup2(null, 0)
    os.close(null)
    program = _ours_first(program)
    start = starter(program, around, listener.fileno())
    # One processor has nothing to gain from it, and who runs in a copy of the server needs no vfork(2).
    several = len(os.sched_getaffinity(0)) > 1 and not chain.ours(program)
    private = {listener.fileno()}
    helpers = [assistant.Assistant(around, start, private) for _ in range(assistant.MOST if several else 0)]
    server = serving.Server(around, listener, start, limits, verbose, helpers)
    if "1" in given:
        os.write(1, b"\n")
        os.dup2(0, 1)
    return server.run()


def limits_of(given: dict[str, str], found: list[tuple[str, str]]) -> serving.Limits:
    """What the options say."""
    most = min(number(given.get("c", "40"), USAGE, 1), MOST)
    each = min(number(given.get("C", "40"), USAGE, 1), most)
    lookup = ["p", *(letter for letter, _ in found if letter in "Pp")][-1]
    return serving.Limits(most, each, lookup == "p")


def _ours_first(program: list[str]) -> list[str]:
    """A program of ours without the name of the multi-call program before it."""
    return program[1:] if program[0] == "initfs" and chain.ours(program[1:]) else program


def starter(program: list[str], around: Loop, listener: int) -> Callable[[int, Variables], int]:
    """What serves a connection: decides in this process what our own links at the beginning of PROGRAM decide, and starts the rest."""
    for name in (serving.REMOTEEUID, serving.REMOTEEGID):  # what we were told is not said of our clients
        os.environb.pop(name, None)
    inherited, path = dict(os.environb), os.environ.get("PATH")
    decisions = links.understood(program)
    for word in program:
        if chain.ours([word]):  # loaded now, once, and not in each copy
            __import__(PROGRAMS[word], fromlist=["main"])
    warm.ready()

    def start(fd: int, variables: Variables) -> int:
        return starting.spawn(program, inherited | variables, ((fd, 0), (fd, 1)), path)

    def decide(fd: int, variables: Variables) -> int:
        given = {os.fsdecode(name): os.fsdecode(text) for name, text in (inherited | variables).items()}
        passed = links.follow(decisions, checking.Passed(given, program), fd)
        if passed is None:
            return 0
        if chain.ours(passed.program):
            return copy(passed, fd, around, listener)
        return starting.spawn(
            passed.program, passed.environment, ((fd, 0), (fd, 1)), passed.environment.get("PATH")
        )

    return decide if chain.ours(program) else start


def copy(passed: checking.Passed, fd: int, around: Loop, listener: int) -> int:
    """Go on with a program of ours in a copy of this interpreter; its pid."""

    def become() -> int:
        ipcserver_access.become(passed.environment)
        return chain.run(list(passed.program), USAGE)

    return warm.fork(become, around, ((fd, 0), (fd, 1)), serving.CAUGHT, (fd, listener))
