"""The firewall in the kernel: loaded as a whole, and only when it is not already as it should be."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.network import ruleset
from initfs.network.nftables import Nftables
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
    """Put the rules in force in one transaction; False, and said, when the kernel refuses."""
    good, said = _run(rules)
    if not good:
        say.warning(f"unable to load the firewall: {' '.join(said.split())[:500]}")
        return False
    say.info("firewall loaded")
    return files.tried(
        "remember the firewall", lambda: files.write(f"{applied}/{LOADED}", _record(rules, _listed()))
    )


def show() -> str:
    """The rules as the kernel has them, for people."""
    return _listed()


def remove(applied: str) -> None:
    """Take away what we loaded before: no file speaks of a firewall any more."""
    if os.path.exists(f"{applied}/{LOADED}"):
        _run(f"table {ruleset.TABLE}\ndelete table {ruleset.TABLE}\n")
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
    """Our table as the kernel has it; empty when there is none."""
    good, said = _run(f"list table {ruleset.TABLE}\n")
    return said if good else ""


def _run(commands: str) -> tuple[bool, str]:
    nftables = Nftables()
    try:
        return nftables.run(commands)
    finally:
        nftables.close()
