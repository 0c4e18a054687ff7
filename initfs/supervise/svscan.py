"""svscan: supervise every service directory of a scan directory.

Source: `spec/supervision.md` 1.1; what it does is in `scanner.py`.
"""

from __future__ import annotations

import fcntl

from initfs import files, options, say, signals
from initfs.supervise import moving
from initfs.supervise.scanner import TRAPPED, Options, OutOfOrder, Svscan, take_over

USAGE = "svscan [-w] [-d notif] [-X consoleholder] [-C services_max] [-L name_max] [-t rescan_ms] scandir"
LONG = {
    "watch": "w",
    "notification-fd": "d",
    "console-holder": "X",
    "services-max": "C",
    "name-max": "L",
    "timeout": "t",
}


def parse(argv: list[str], *, again: bool = False) -> Options:
    """The Options of a command line; say.Fatal 100 for a wrong one. AGAIN: readiness has been announced, and its descriptor is closed."""
    given, rest = options.parse(argv[1:], "wd:X:C:L:t:", USAGE, LONG)
    if len(rest) != 1:
        raise say.usage(USAGE)
    found = dict(given)
    runit = argv[0] == "runsvdir"

    def number(letter: str, default: int) -> int:
        return options.number(found[letter], USAGE) if letter in found else default

    return Options(
        scandir=rest[0],
        notification_fd=-1 if again else _opened(number("d", -1)),
        console_fd=_opened(number("X", -1)),
        services_max=min(max(number("C", 1000), 4), 160000),
        name_max=min(max(number("L", 251), 11), 1019),
        rescan=number("t", 14000 if runit else 0) / 1000,
        watch="w" in found,
        runit=runit,
    )


def _opened(fd: int) -> int:
    """A descriptor that an option names must be above 2 and open."""
    if fd == -1:
        return fd
    if fd < 3:
        raise say.Fatal(say.USAGE, f"descriptor {fd} is one of the standard ones")
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError as error:
        raise say.unable(f"use descriptor {fd}", error, say.USAGE) from error
    return fd


def main(argv: list[str]) -> int:
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    again = moving.began_before()
    given = parse(argv, again=again)
    program = take_over(given)
    if program is None:
        program = Svscan(given)
        program.begin()
        if again:
            signals.let(*TRAPPED)
    try:
        program.run()
    except OutOfOrder:
        return _crash(program)
    failed = program.finish()
    if failed is not None:
        say.fatal(str(failed))
        return _crash(program)
    return say.OK


def _crash(program: Svscan) -> int:
    """Become .svscan/crash; without one, the exit code says why."""
    say.fatal("unable to go on; becoming .svscan/crash")
    failed = program.become("crash")
    return say.NOT_FOUND if failed is None else failed.code
