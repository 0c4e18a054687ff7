"""sv, rewritten into svc, svwait and svstat: for `alias sv`.

Source: `spec/supervision.md` 1.9. To kill what does not stop in time is the business of `timeout-kill` here: the force- commands are
their plain forms, with a warning.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.supervise import client
from initfs.supervise.status import RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

USAGE = "alias [-v] sv [-v] [-w sec] command service..."
PATIENCE = "7"
# Options of svc for each command; `T` stands for the time limit of a command that waits.
COMMANDS: dict[str, tuple[str, ...]] = {
    "status": (),
    "up": ("-u",),
    "down": ("-d",),
    "once": ("-o",),
    "pause": ("-p",),
    "cont": ("-c",),
    "hup": ("-h",),
    "alarm": ("-a",),
    "interrupt": ("-i",),
    "quit": ("-q",),
    "1": ("-1",),
    "2": ("-2",),
    "term": ("-t",),
    "kill": ("-k",),
    "exit": ("-d", "-x"),
    "start": ("-wU", "T", "-u"),
    "stop": ("-wD", "T", "-d"),
    "restart": ("-wR", "T", "-ru"),
    "try-restart": ("-wR", "T", "-r"),
    "reload": ("-h",),
    "shutdown": ("-wD", "T", "-d", "-x"),
    "check": (),
}
FORCE = {f"force-{name}": name for name in ("stop", "restart", "shutdown")} | {"force-reload": "try-restart"}


def find(word: str) -> str | None:
    """The command that WORD, or a beginning of it that no other has, means."""
    names = [*COMMANDS, *FORCE]
    if word in names:
        return word
    found = [name for name in names if word and name.startswith(word)]
    return found[0] if len(found) == 1 else None


def rewrite(
    command: str, directory: str, status: Status, milliseconds: int, *, announces: bool = False
) -> tuple[str, ...]:
    """The native command for a service that is in STATUS, and ANNOUNCES readiness or not; () when there is nothing to do."""
    limit = ("-T", str(milliseconds)) if milliseconds else ()
    if command == "check":
        wanted = "-D" if not status.wanted else "-U" if announces else "-u"
        return ("svwait", wanted, "-t", str(milliseconds), "--", directory)
    if command == "try-restart" and status.state != RUN:
        return ()
    if command == "restart" and status.state != RUN:
        command = "start"
    words: list[str] = []
    for word in COMMANDS[command]:
        words += limit if word == "T" else (word,)
    return ("svc", *words, "--", directory) if words else ()


def run(arguments: list[str], *, verbose: bool) -> int:
    """Do for each service what sv would; returns how many failed."""
    given, rest = options.parse(arguments, "vw:", USAGE)
    command = find(rest[0]) if rest else None
    if command is None or len(rest) < 2:
        raise say.usage(USAGE)
    if command in FORCE:
        say.warning(f"{command}: nothing is killed but by timeout-kill in the service directory")
        command = FORCE[command]
    seconds = options.number(dict(given).get("w") or os.environ.get("SVWAIT") or PATIENCE, USAGE)
    return min(sum(not _one(command, name, seconds * 1000, verbose=verbose) for name in rest[1:]), 99)


def _one(command: str, name: str, milliseconds: int, *, verbose: bool) -> bool:
    """Do it for one service, and show what has become of it; False when that failed."""
    directory = client.locate(name)
    try:
        status, announces = client.read_status(directory), os.path.exists(f"{directory}/notification-fd")
        words = rewrite(command, directory, status, milliseconds, announces=announces)
        good = not words or _run(words, verbose=verbose)
    except say.Fatal as fatal:
        say.fatal(str(fatal))
        return False
    if command in ("exit", "shutdown"):
        return good
    log = f"{directory}/log"
    if os.path.isdir(log):
        _run(("svstat", "--", directory, log), verbose=verbose)
        return good
    return _run(("svstat", "--", directory), verbose=verbose) and good


def _run(words: tuple[str, ...], *, verbose: bool) -> bool:
    from initfs.main import run

    speaker = say.program
    if verbose:
        say.info(" ".join(words))
    code = run(list(words))
    say.program = speaker
    return code == say.OK
