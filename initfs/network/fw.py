"""fw: bring the network into the wanted state, once (`services/fw/README.md`)."""

from __future__ import annotations

import os

from initfs import files, options, process, say
from initfs.network import plan as planning
from initfs.network.wanted import Invalid, Wanted, parse
from initfs.supervise import client

USAGE = "fw [-n] [-s servicedir] directory..."
RESOLVER = "/run/resolv.conf"
OWNED = "/run/initfs/fw-owned"  # the interfaces that the last run configured
FILE_SIZE = 65536


def main(argv: list[str]) -> int:
    given, directories = options.parse(argv[1:], "ns:", USAGE)
    found = dict(given)
    if not directories:
        raise say.usage(USAGE)
    if "s" in found:
        client.send(found["s"], "o")  # before anything is read: what changes later is another run's
    wanted = [want for directory in directories for want in read(directory)]
    operations = planning.plan(wanted, actual(), owned())
    if "n" in found:
        for operation in operations:
            print("ip", *operation)
        return say.OK
    failed = [operation for operation in operations if not _ip(operation)]
    _replace(RESOLVER, planning.resolver(wanted))
    _replace(OWNED, "".join(f"{name}\n" for name in sorted({want.interface for want in wanted})))
    return say.TEMPORARY if failed else say.OK


def read(directory: str) -> list[Wanted]:
    """What the files of a directory want; one that is wrong is refused, and said."""
    wanted = []
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".ipconf"))
    except FileNotFoundError:
        return []
    for name in names:
        path = f"{directory}/{name}"
        try:
            wanted.append(parse((files.read(path, size=FILE_SIZE) or b"").decode()))
        except (Invalid, UnicodeDecodeError, OSError) as error:
            say.warning(f"{path} refused: {error}")
    return wanted


def actual() -> planning.Actual:
    """What the kernel has now."""
    return planning.Actual(
        planning.read_addresses(_output("-o", "-4", "address", "show")),
        planning.read_gateways(_output("-4", "route", "show")),
    )


def owned() -> list[str]:
    """The interfaces that the last run configured."""
    return (files.read(OWNED, size=FILE_SIZE) or b"").decode(errors="replace").split()


def _ip(operation: list[str]) -> bool:
    status = os.waitstatus_to_exitcode(os.waitpid(_spawn(operation), 0)[1])
    say.info(f"ip {' '.join(operation)}" + (f": exit {status}" if status else ""))
    return status == 0


def _output(*arguments: str) -> str:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = _spawn(list(arguments), (writing, 1))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as answer:
        text = answer.read()
    if os.waitpid(pid, 0)[1]:
        raise say.Fatal(say.TEMPORARY, f"unable to read the network's state: ip {' '.join(arguments)} failed")
    return text


def _spawn(arguments: list[str], *descriptors: tuple[int, int]) -> int:
    found = (path for path in process.candidates("ip", os.environ) if os.access(path, os.X_OK))
    path = next(found, "ip")
    try:
        return process.spawn(path, ["ip", *arguments], os.environ, descriptors=descriptors, session=False)
    except OSError as error:
        raise say.unable("run ip", error) from error


def _replace(path: str, content: str) -> None:
    """Replace a file by rename, if it changes."""
    if files.read(path, size=FILE_SIZE) != content.encode():
        files.tried(f"write {path}", lambda: files.write(path, content.encode()))
