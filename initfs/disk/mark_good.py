"""mark-good: tells the boot loader that this slot is to be kept, once everything is up; restarts the machine when that takes too long.

"Everything" is the service manager's bundle `default`, where the image has one, every service that announces readiness and is to
run, and with -g an answer of the gateway. A slot that is good
already is left alone: the boot partition is not even written.
"""

from __future__ import annotations

import os

from initfs import files, options, rtnetlink, say
from initfs.disk import command, place, slots
from initfs.disk.chooser import CHOOSERS
from initfs.loop import now
from initfs.pid1 import request

USAGE = "mark-good [-g] [-t seconds] scandir"
LIMIT = 300  # seconds
COMPILED, LIVE = "/etc/s6-rc/compiled/current", "/run/s6-rc"
ROUTES = "/proc/net/route"
PAUSE = 1.0  # seconds between two questions to a gateway that does not answer yet


def main(argv: list[str]) -> int:
    """0 it is marked, or there is nothing to mark; 99 the time was over: the machine is going to restart."""
    given, rest = options.parse(argv[1:], "gt:", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    asked = dict(given)
    deadline = now() + options.number(asked.get("t", str(LIMIT)), USAGE, 1)
    found = place.board()
    slot = slots.slot_of((files.read("/proc/cmdline") or b"").decode())
    device = (
        place.partitions(found["DISK"]).get(place.BOOT) if slot and found.get("LOADER") in CHOOSERS else None
    )
    if device is None:
        say.info("this machine has no slots")
        return say.OK
    loader = found["LOADER"]
    with place.boot(device) as mounted:
        if CHOOSERS[loader](mounted.where).good(slot):
            return say.OK
    if not (_default(deadline) and _up(rest[0], deadline) and ("g" not in asked or _gateway(deadline))):
        say.warning(f"slot {slot} did not get everything up in time: restarting")
        request.main(["reboot"])
        return say.TIMED_OUT
    with place.boot(device, writable=True) as mounted:
        CHOOSERS[loader](mounted.where).mark(slot)
    say.info(f"slot {slot} is good")
    return say.OK


def _default(deadline: float) -> bool:
    """Wait until the bundle `default` is up; True where there is none. Stage 2 brings it up, and we wait for its lock."""
    if not os.path.exists(COMPILED) or command.run(["rc-db", "-c", COMPILED, "type", "default"]):
        return True
    there = command.run(["wait-for", "-t", _left(deadline), "file", LIVE]) == 0
    # 3: the machine's own database, that of a set on /data, has none
    return there and command.run(["rc", "-b", "-t", _left(deadline), "-u", "change", "default"]) in (0, 3)


def _left(deadline: float) -> str:
    """The milliseconds until then: as an option, where 0 would be for ever."""
    return str(max(1, int((deadline - now()) * 1000)))


def _up(scandir: str, deadline: float) -> bool:
    """Wait for the services of SCANDIR, but for the one we are run by; False when the time is over or one failed for good."""
    names = announcing(scandir, os.path.basename(os.getcwd()))
    return (
        not names
        or command.run(
            ["svwait", "-U", "-a", "-t", _left(deadline), *(f"{scandir}/{name}" for name in names)]
        )
        == 0
    )


def announcing(scandir: str, without: str) -> list[str]:
    """The services that announce readiness, and are not down on purpose."""
    found = []
    for name in sorted(os.listdir(scandir)):
        path = f"{scandir}/{name}"
        if (
            name not in {without, ".svscan"}
            and os.path.exists(f"{path}/notification-fd")
            and not os.path.exists(f"{path}/down")
        ):
            found.append(name)
    return found


def gateway(table: str) -> str:
    """The address of the default route, in /proc/net/route's TABLE; "" when there is none. Numbers there are in the host's order."""
    for line in table.split("\n")[1:]:
        fields = line.split()
        if (
            len(fields) > 7
            and fields[1] == "00000000"
            and fields[7] == "00000000"
            and fields[2] != "00000000"
        ):
            return ".".join(str(byte) for byte in int(fields[2], 16).to_bytes(4, "little"))
    return ""


def _gateway(deadline: float) -> bool:
    """Wait until the default route's gateway answers. The kernel tells of a new route; a silent gateway has to be asked again."""
    news = rtnetlink.subscribe(rtnetlink.ROUTES4)
    try:
        while now() < deadline:
            address = gateway((files.read(ROUTES, size=1 << 16) or b"").decode())
            if address and command.run(["ping", "-c", "1", "-W", "2", address]) == 0:
                return True
            rtnetlink.heard(news, min(deadline, now() + PAUSE if address else deadline) - now())
    finally:
        news.close()
    return False
