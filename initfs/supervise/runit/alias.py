"""alias: run a command of daemontools or runit by its old name and options with the programs of this suite.

Source: `spec/supervision.md` 1.9. Most old programs have a namesake here that takes the same options, and become it. sv and runsvdir
are rewritten into native commands, which -v shows. What would replace or end the machine's init is refused.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import next as chain
from initfs.programs import PROGRAMS
from initfs.supervise.runit import old_sv

USAGE = "alias [-v] oldname argument..."
NAMESAKES = (
    "chpst", "envdir", "envuidgid", "fghack", "multilog", "pgrphack", "runsv", "setlock", "setuidgid", "softlimit", "supervise", "svc",
    "svlogd", "svok", "svscan", "svstat", "tai64n", "tai64nlocal", "utmpset",
)  # fmt: skip
REFUSED = {
    "runit": "the init of this suite is not started by hand",
    "runit-init": "the init of this suite is not started by hand; see reboot, poweroff, halt",
    "runsvchdir": "the service manager changes what runs",
    "readproctitle": "a catch-all logger keeps what it showed",
}
RESCAN = "14000"  # milliseconds: what runsvdir would notice by itself, svscan looks for


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "v", USAGE)
    if not rest:
        raise say.usage(USAGE)
    name, verbose = os.path.basename(rest[0]), bool(given)
    if name in REFUSED:
        raise say.Fatal(say.USAGE, f"{name} has no equivalent: {REFUSED[name]}")
    if name == "sv":
        return old_sv.run(rest[1:], verbose=verbose)
    if name == "runsvdir":
        return become(runsvdir(rest[1:]), verbose=verbose)
    if name in NAMESAKES:
        return become([name, *rest[1:]], verbose=verbose)
    raise say.Fatal(say.USAGE, f"{rest[0]} is not a command of daemontools or runit")


def runsvdir(arguments: list[str]) -> list[str]:
    """The svscan that does what a runsvdir would."""
    given, rest = options.parse(arguments, "P", "runsvdir [-P] dir [text]")
    if len(rest) not in (1, 2):
        raise say.usage("runsvdir [-P] dir [text]")
    if given:
        say.warning("-P is always so: every service has a session of its own")
    if len(rest) > 1:
        say.warning("there is no log in the command line: svscan has a catch-all logger instead")
    return ["svscan", "-t", RESCAN, "--", rest[0]]


def become(command: list[str], *, verbose: bool) -> int:
    """Run a command instead of this program."""
    if verbose:
        say.info(" ".join(command))
    if command[0] not in PROGRAMS:
        return chain.run(command, USAGE)
    from initfs.main import run

    return run(command)
