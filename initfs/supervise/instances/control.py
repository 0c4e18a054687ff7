"""instance-control, instance-status: svc and svstat for an instance. Source: `spec/supervision.md` 1.10."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.supervise import svc, svstat
from initfs.supervise.instances import layout

USAGE = "instance-control (options of svc) service name | instance-status (options of svstat) service name"
# For each name: the program that is meant, its letters with a value, and its main.
PROGRAMS = {
    "instance-control": (svc.COMMANDS + "s:w:T:", svc.main),
    "instance-status": ("uwNrpgestno:J", svstat.main),
}


def main(argv: list[str]) -> int:
    letters, program = PROGRAMS[argv[0]]
    _, rest = options.parse(argv[1:], letters, USAGE, {"json": "J"} if program is svstat.main else None)
    if len(rest) != 2:
        raise say.usage(USAGE)
    given, instance = argv[1 : len(argv) - 2], layout.live(*rest)
    if program is svstat.main and not os.path.isdir(instance):
        raise say.Fatal(say.NO, f"{rest[0]} has no instance {rest[1]}")
    return program(["svc" if program is svc.main else "svstat", *given, instance])
