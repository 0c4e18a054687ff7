"""The firewall in the kernel: loaded as a whole by nft(8), and only when it is not already as it should be."""

from __future__ import annotations

import os

from initfs import files, process, say
from initfs.network import ruleset
from initfs.network.zones import Firewall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.network.sources import Sources

LOADED = ".nftables"  # in the directory of what was applied: the rules as they were given, and as the kernel then had them
READY = "firewall"  # there: an interface may come up
SIZE = 1 << 20
FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")


def wanted(sources: Sources, applied: str) -> str | None:
    """The rules to have now; None leaves those that there are.

    When a file was refused, nobody can say what is allowed: what was loaded before stays, and without that all is closed.
    """
    if sources.firewall_refused:
        return None if os.path.exists(f"{applied}/{LOADED}") else ruleset.render(Firewall())
    if sources.firewall is None:
        return None
    return ruleset.render(sources.firewall)


def current(rules: str, applied: str) -> bool:
    """Whether the kernel has these rules, unchanged by anybody since we loaded them."""
    record = files.read(f"{applied}/{LOADED}", size=SIZE)
    return record is not None and record == _record(rules, _listed())


def load(rules: str, applied: str) -> bool:
    """Put the rules in force in one transaction; False, and said, when the kernel or nft refuses."""
    status, said = _nft(["-f", "-"], rules)
    if status:
        say.warning(f"unable to load the firewall: nft: {' '.join(said.split())[:500]}")
        return False
    say.info("firewall loaded")
    return files.tried(
        "remember the firewall", lambda: files.write(f"{applied}/{LOADED}", _record(rules, _listed()))
    )


def remove(applied: str) -> None:
    """Take away what we loaded before: no file speaks of a firewall any more."""
    if os.path.exists(f"{applied}/{LOADED}"):
        _nft(["-f", "-"], f"table {ruleset.TABLE}\ndelete table {ruleset.TABLE}\n")
        files.remove(f"{applied}/{LOADED}")
        say.info("firewall removed")


def forward(whether: bool) -> None:
    """Have the kernel route, or not; only what differs is written."""
    for path in FORWARDING:
        if os.path.exists(path):
            setting(path, "1" if whether else "0")


def setting(path: str, wanted_text: str) -> None:
    """Write a setting of the kernel if it is another one."""
    if (files.read(path) or b"").strip() == wanted_text.encode():
        return

    def write() -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, wanted_text.encode() + b"\n")
        finally:
            os.close(fd)

    files.tried(f"set {path}", write)


def _record(rules: str, listed: str) -> bytes:
    return f"{rules}\0{listed}".encode()


def _listed() -> str:
    """Our table as the kernel has it; empty when there is none, or no nft."""
    status, said = _nft(["list", "table", *ruleset.TABLE.split()], "")
    return "" if status else said


def _nft(arguments: list[str], text: str) -> tuple[int, str]:
    """Run nft with TEXT as its input; its exit code, and what it said. 127: there is none."""
    given, giving = os.pipe2(os.O_CLOEXEC)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    found = [path for path in process.candidates("nft", os.environ) if os.access(path, os.X_OK)]
    try:
        pid = process.spawn(
            found[0] if found else "nft",
            ["nft", *arguments],
            os.environ,
            descriptors=[(given, 0), (writing, 1), (writing, 2)],
            session=False,
        )
    except OSError as error:
        for fd in (given, giving, reading, writing):
            os.close(fd)
        return say.NOT_FOUND, say.reason(error)
    os.close(given)
    os.close(writing)
    with open(giving, "wb") as into:  # nft reads all of it before it says anything
        into.write(text.encode())
    with open(reading, encoding="utf-8", errors="replace") as answer:
        said = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said
