"""fw: bring the network into the wanted state, once (`services/fw/README.md`)."""

from __future__ import annotations

import os

from initfs import files, options, process, say
from initfs.network import plan as planning
from initfs.network.wanted import Invalid, Wanted, parse, render
from initfs.supervise import client

USAGE = "fw [-n] [-s servicedir] [-a applied] directory..."
RESOLVER = "/run/resolv.conf"
PROMOTE = "/proc/sys/net/ipv4/conf/all/promote_secondaries"
FILE_SIZE = 65536


def main(argv: list[str]) -> int:
    given, directories = options.parse(argv[1:], "ns:a:", USAGE)
    found = dict(given)
    if not directories:
        raise say.usage(USAGE)
    if "s" in found:
        client.send(found["s"], "o")  # before anything is read: what changes later is another run's
    wanted = read_all(directories)
    applied = found.get("a", "")
    before = read_all([applied]).values() if applied else ()
    operations = planning.plan(list(wanted.values()), actual(), {want.interface for want in before})
    if "n" in found:
        for operation in operations:
            print("ip", *operation)
        return say.OK
    files.tried("keep addresses whose first neighbour goes", _promote)
    failed = [operation for operation in operations if not _ip(operation)]
    _replace(RESOLVER, planning.resolver(list(wanted.values())))
    if failed:
        return say.TEMPORARY
    if applied:
        record(wanted, applied)
    return say.OK


def record(wanted: dict[str, Wanted], applied: str) -> None:
    """Keep what was brought about: a file in APPLIED for each file that was wanted, and none else."""
    os.makedirs(applied, exist_ok=True)
    for name, want in wanted.items():
        _replace(f"{applied}/{name}", render(want))
    for name in set(os.listdir(applied)) - set(wanted):
        files.remove(f"{applied}/{name}")


def read_all(directories: list[str]) -> dict[str, Wanted]:
    """What the files of all these directories want, by file name; of two of one name the last counts."""
    return {name: want for directory in directories for name, want in read(directory).items()}


def read(directory: str) -> dict[str, Wanted]:
    """What the files of a directory want; one that is wrong is refused, and said."""
    wanted = {}
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".ipconf"))
    except FileNotFoundError:
        return {}
    for name in names:
        path = f"{directory}/{name}"
        try:
            wanted[name] = parse((files.read(path, size=FILE_SIZE) or b"").decode())
        except (Invalid, UnicodeDecodeError, OSError) as error:
            say.warning(f"{path} refused: {error}")
    return wanted


def actual() -> planning.Actual:
    """What the kernel has now."""
    return planning.Actual(
        planning.read_addresses(_output("-o", "-4", "address", "show")),
        planning.read_gateways(_output("-4", "route", "show")),
    )


def _promote() -> None:
    """Without this the kernel removes with the first address of a subnet all its others, and the routes by them."""
    fd = os.open(PROMOTE, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"1\n")
    finally:
        os.close(fd)


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
