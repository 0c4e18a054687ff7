"""The service directories in a compiled database: of the sources' longruns, and of the two that the manager has for itself.

They refer to our programs as `../../initfs`: the live directory, where they are copied to and run, has a launcher of that name.
Source: `spec/service-manager.md` 6.3 and 6.4.
"""

from __future__ import annotations

import os

from initfs.manager import definition, disk
from initfs.manager.model import FDHOLDER, LONGRUN, READING, RUNNER, WRITING, Database, Definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LAUNCHER = "../../initfs"
LEAST_FDS, FEW = 256, 240
FDHOLDER_RIGHTS = {
    "FDHOLDER_LIST": b"\n",
    "FDHOLDER_STORE_REGEX": b"^pipe:s6rc-\n",
    "FDHOLDER_RETRIEVE_REGEX": b"^pipe:s6rc-\n",
    "FDHOLDER_SETDUMP": b"\n",
    "FDHOLDER_GETDUMP": b"\n",
}


def write(compiled: str, database: Database, definitions: Sequence[Definition], *, blocking: bool) -> None:
    """Write COMPILED/servicedirs and COMPILED/scripts. OSError when something can't be read or written."""
    os.mkdir(f"{compiled}/servicedirs", 0o755)
    _runner(f"{compiled}/servicedirs/{RUNNER}", blocking=blocking)
    _fdholder(f"{compiled}/servicedirs/{FDHOLDER}", database)
    pipes = wrappers(database)
    for one in definitions:
        if one.kind == LONGRUN:
            _longrun(f"{compiled}/servicedirs/{one.name}", one.place, pipes.get(one.name, ""))
        elif any(script.text for script in one.scripts):
            _scripts(f"{compiled}/scripts/{one.name}", one)


def wrappers(database: Database) -> dict[str, str]:
    """For each pipelined longrun the words that get its ends of the pipes, and then become the program that is named next."""
    found: dict[str, str] = {}
    for consumer, producers in database.pipes:
        name = database.names[consumer]
        found[name] = f" -r {quote(READING + name)}" + found.get(name, "")
        for number in producers:
            producer = database.names[number]
            found[producer] = found.get(producer, "") + f" -w {quote(WRITING + name)}"
    return found


def quote(word: str) -> str:
    """A word for the shell."""
    return "'" + word.replace("'", "'\\''") + "'"


def _longrun(target: str, source: str, pipes: str) -> None:
    os.mkdir(target, 0o755)
    for file in sorted(_COPIED.intersection(os.listdir(source))):
        if os.path.exists(f"{source}/{file}"):  # else a link to nothing
            _copy(f"{source}/{file}", f"{target}/{file}", file, pipes)


_COPIED = frozenset(
    (*definition.PROGRAMS, *definition.NUMBERS, *definition.SIGNALS, *definition.EMPTY, *definition.TREES)
)


def _copy(source: str, target: str, file: str, pipes: str) -> None:
    """One file of a longrun, as the supervisor is to find it."""
    if file in definition.PROGRAMS:
        disk.copy(source, f"{target}.user" if pipes else target, 0o755)
        if pipes:
            _wrapper(target, pipes)
    elif file in definition.NUMBERS:
        _number(source, target)
    elif file in definition.SIGNALS:
        disk.copy(source, target, 0o644)
    elif file in definition.EMPTY:
        disk.write(target, b"")
    else:
        disk.copy_tree(source, target)
        if file == "template":
            for other in ("instance", "instances"):
                os.makedirs(os.path.join(os.path.dirname(target), other), 0o755, exist_ok=True)


def _number(source: str, target: str) -> None:
    with open(source, "rb") as file:
        found = definition.knob(file.read(64))
    disk.write(target, b"%d\n" % (found or 0))


def _wrapper(path: str, pipes: str) -> None:
    program = os.path.basename(path)
    disk.write(
        path, os.fsencode(f'#!/bin/sh\nexec {LAUNCHER} rc-pipes{pipes} ./{program}.user "$@"\n'), 0o755
    )


def _scripts(target: str, one: Definition) -> None:
    os.makedirs(target, 0o755)
    for file, script in zip(definition.SCRIPTS, one.scripts, strict=True):
        if script.text:
            disk.write(f"{target}/{file}", script.text, 0o755)


def _rules(target: str, environment: dict[str, bytes]) -> None:
    """Rules that let root, its group and the service's own user in."""
    for kind in ("uid", "gid"):
        os.makedirs(f"{target}/data/rules/{kind}/0", 0o755)
        disk.write(f"{target}/data/rules/{kind}/0/allow", b"")
    os.symlink("0", f"{target}/data/rules/uid/self")
    if environment:
        os.mkdir(f"{target}/data/rules/uid/0/env", 0o755)
        for name, content in environment.items():
            disk.write(f"{target}/data/rules/uid/0/env/{name}", content)
        os.symlink("../../uid/0/env", f"{target}/data/rules/gid/0/env")


def _runner(target: str, *, blocking: bool) -> None:
    _rules(target, {})
    disk.write(f"{target}/notification-fd", b"3\n")
    flag = " -b" if blocking else ""
    disk.write(
        f"{target}/run",
        b"#!/bin/sh\nexec %s rc-oneshot-runner%s -l ../.. s\n" % (LAUNCHER.encode(), flag.encode()),
        0o755,
    )


def _fdholder(target: str, database: Database) -> None:
    _rules(target, FDHOLDER_RIGHTS)
    disk.write(f"{target}/notification-fd", b"3\n")
    consumers = [database.names[consumer] for consumer, _ in database.pipes]
    disk.write(f"{target}/data/autofilled", os.fsencode("".join(f"{name}\n" for name in consumers)))
    fds = 2 * len(consumers)
    fds = LEAST_FDS if fds < FEW else fds + (fds >> 4) + 2
    user = f" -h {quote(database.user)}" if database.user else ""
    disk.write(
        f"{target}/run", os.fsencode(f"#!/bin/sh\nexec {LAUNCHER} rc-fdholder -n {fds}{user} s\n"), 0o755
    )
