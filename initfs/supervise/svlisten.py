"""svlisten, svlisten1: listen to services first, then run a program, then wait for what it makes of them.

Source: `spec/supervision.md` 1.7. The listening begins before the program, so that nothing it causes is missed.
"""

from __future__ import annotations

from initfs import say
from initfs.notify import child
from initfs.notify.arguments import block
from initfs.notify.child import become
from initfs.supervise.waiters import Request, Services, request

USAGE = (
    'svlisten [-u|-U|-d|-D|-r|-R] [-a|-o] [-t ms] dir... "" prog... | svlisten1 [-uUdDrR] [-t ms] dir prog...'
)


def main(argv: list[str]) -> int:
    """0 seen, 99 timed out, 102 a supervisor is not there, or the number of services that failed for good."""
    if argv[0] == "svlisten1":
        asked = request(argv, "", USAGE)
        directories, program = asked.rest[:1], asked.rest[1:]
    else:
        asked = request(argv, "ao", USAGE)
        directories, program = block(asked.rest, USAGE)
    if not program:
        raise say.usage(USAGE)
    if not directories:
        return become(program, USAGE)
    return listen(asked, directories, program)


def listen(asked: Request, directories: list[str], program: list[str], *, lenient: bool = False) -> int:
    """Subscribe, have PROGRAM run, and wait; see `Services` for LENIENT. The exit code."""
    some = asked.some
    if some and asked.wanted in "rR":
        say.warning("-o has no meaning with -r or -R: all services are waited for")
        some = False
    with Services(directories, asked.wanted, down="D", lenient=lenient) as services:
        child.start(program)
        return services.wait(asked.deadline, some=some)
