"""sview and svpage: look at a service's log on a terminal, the end of it as it grows, or all of it.

Source: `spec/var_service.md`. A service directory may have a `view` or `page` of its own. `w_log` and `p_log` are their old names.
"""

from __future__ import annotations

import contextlib
import os

from initfs import process, say
from initfs.log.reading import directories

USAGE = "sview | svpage service"
OWN = {"sview": "view", "w_log": "view", "svpage": "page", "p_log": "page"}
ROOT = "/run/service"
LINES = 24
PAGERS = ("less", "more", "cat")


def main(argv: list[str]) -> int:
    if len(argv) != 2 or argv[1].startswith("-"):
        say.fatal(f"usage: {argv[0]} service")
        return say.NO  # the code that scripts know from the original
    service = argv[1] if "/" in argv[1] or argv[1] == "." else f"{os.environ.get('SVDIR', ROOT)}/{argv[1]}"
    own = f"{service}/{OWN.get(argv[0], 'view')}"
    if os.access(own, os.X_OK) and os.path.isfile(own):
        os.chdir(service)
        raise process.execute([f"./{OWN[argv[0]]}"])
    log = found(service, argv[1])
    return view(log) if OWN.get(argv[0]) == "view" else page(log)


def found(service: str, name: str) -> str:
    """The log directory of a service directory, or of a service's name. say.Fatal 111."""
    inside = [f"{service}/log/{each}" for each in ("logdir", "main")]
    for path in [*inside, *(directories(name) if "/" not in name else [])]:
        if os.path.isdir(path):
            return os.path.realpath(path)
    raise say.Fatal(say.TEMPORARY, f"unable to find the log of {name}")


def view(log: str) -> int:
    """The last lines that fit on the terminal, and then what comes, over rotations."""
    from initfs.log.svlog_cat import NEW, OLD, Source, Writer, follow

    write = Writer(False, several=False)
    source = Source(log, log, djb=False)
    rows = rows_of_terminal() - 1
    last: list[tuple[int, str, bytes, bytes]] = []
    for line in source.plainly(ended=False):
        last.append(line)
        if len(last) > 2 * rows:
            del last[:rows]
    write.all(last[-rows:])
    try:
        follow([source], write, OLD, NEW)
    except KeyboardInterrupt:
        return say.OK
    return say.OK


def rows_of_terminal() -> int:
    """How many lines the terminal shows."""
    try:
        return max(os.get_terminal_size(1).lines, 2)
    except OSError:
        return LINES


def page(log: str) -> int:
    """All of it in $PAGER, which reads as fast as its user: the log is not held in memory here."""
    from initfs.log.svlog_cat import Source, Writer

    pager = os.environ.get("PAGER") or next((name for name in PAGERS if _there(name)), "cat")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = process.spawn("/bin/sh", ["sh", "-c", pager], os.environ, descriptors=[(reading, 0)], session=False)
    os.close(reading)
    os.dup2(writing, 1)
    os.close(writing)
    with contextlib.suppress(BrokenPipeError):
        Writer(False, several=False).all(Source(log, log, djb=False).plainly())
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)  # the pager has read all
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else say.NO


def _there(name: str) -> bool:
    return any(os.access(path, os.X_OK) for path in process.candidates(name, os.environ))
