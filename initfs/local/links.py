"""The links of a server's command line that only decide, followed in the server itself: ipcserver-access and connlimit.

As programs they would cost each connection a process or a copy of one; their decisions are functions of the connection's variables,
so the server asks these. What comes out is the same, also what is said; who is kept out costs no process.
"""

from __future__ import annotations

from initfs import say
from initfs.local import checking, connlimit, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.local.checking import Passed

    Decision = Callable[[Passed, int], Passed | None]
    Decisions = dict[tuple[str, ...], Decision]


def understood(program: list[str]) -> Decisions:
    """The decisions that PROGRAM begins with, by the command line that is left where they are taken. Fatal 100, 111."""
    found: Decisions = {}
    while program and program[0] in ("ipcserver-access", "connlimit"):
        here = tuple(program)
        if program[0] == "connlimit":
            found[here], program = _limit(program)
        else:
            found[here], program = _check(program)
    return found


def follow(decisions: Decisions, passed: Passed, fd: int) -> Passed | None:
    """What is left to run for the connection FD, and with which environment; None when it is refused."""
    if not decisions:
        return passed
    name = say.program
    try:
        while passed.program and (decision := decisions.get(tuple(passed.program))) is not None:
            say.program = passed.program[0]
            after = decision(passed, fd)
            if after is None:
                return None
            passed = after
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return None
    finally:
        say.program = name
    return passed


def _check(program: list[str]) -> tuple[Decision, list[str]]:
    check = checking.Check(program)
    return (lambda passed, fd: check.judge(passed.environment, lambda: sockets.own_path(fd))), check.program


def _limit(program: list[str]) -> tuple[Decision, list[str]]:
    rest = connlimit.following(program)

    def decide(passed: Passed, _: int) -> Passed | None:
        return checking.Passed(passed.environment, rest) if connlimit.within(passed.environment) else None

    return decide, rest
