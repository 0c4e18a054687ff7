"""mount-data: brings the data partition to /data, whatever state it is in.

It gets what the disk has behind it. A new one gets a file system; one that was not unmounted is checked; one that cannot be
repaired is made anew, with what could be read of it in /data/aside. If nothing helps, /data lives in memory: a machine without its
data still boots.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.disk import command, enlarge, place
from initfs.disk.identity import content, extent
from initfs.disk.table import LEAST, SECTOR

USAGE = "mount-data [-t seconds]"
WHERE, SALVAGED, STATE = "/data", "/run/initfs/salvaged", "/run/initfs/data"
WAIT = 20  # seconds for the disk to appear
START = 4096  # bytes that tell what a partition has
FINE = (0, 1)  # of e2fsck: nothing to do, errors corrected


def main(argv: list[str]) -> int:
    """Always leaves a usable /data; exit code 0, or 1 when it is in memory. An image without a disk has nothing to do."""
    given, rest = options.parse(argv[1:], "t:", USAGE)
    if rest:
        raise say.usage(USAGE)
    wanted = place.board().get("DISK")
    if not wanted:
        return say.OK
    limit = options.number(dict(given).get("t", str(WAIT)), USAGE)
    device = place.awaited(wanted, limit).get(place.DATA)
    if device:
        enlarge.fill(device)
    state = bring(device) if device else ""
    if not state:
        say.warning(f"{WHERE} is in memory: what is written there is lost at the end")
        command.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,mode=0755,size=25%", "data", WHERE])
    files.write(STATE, f"{state or 'volatile'}\n".encode())
    return say.OK if state else say.NO


def bring(device: str) -> str:
    """Have the partition at /data; returns what was done: mounted, repaired, made, remade; "" when nothing helped."""
    try:
        start = files.read(device, size=START) or b""
    except OSError as error:
        say.warning(f"unable to read {device}: {say.reason(error)}")
        return ""
    found = content(start)
    if found == "blank":
        return "made" if make(device) and mount(device) else ""
    if found == "ext4":
        if sound(device) and mount(device):
            stretch(device, start)
            return "mounted"
        say.warning(f"{device} has errors that need a decision: repairing")
        if repaired(device) and mount(device):
            return "repaired"
    return "remade" if remake(device) else ""


def sound(device: str) -> bool:
    """Check the file system, and mend what is safe to mend. One that was unmounted is believed: mounting may find more."""
    return command.run(["e2fsck", "-p", device]) in FINE


def repaired(device: str) -> bool:
    """Check all of it, and take every decision that has to be taken."""
    return command.run(["e2fsck", "-f", "-y", device]) in FINE


def make(device: str) -> bool:
    """Make a new file system; True when that went well."""
    say.info(f"making a file system on {device}")
    # -F: a partition that had something else asks no questions
    return command.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "data", "-m", "1", device]) == 0


def mount(device: str, more: str = "") -> bool:
    """Mount it at /data; True when that went well."""
    return command.run(["mount", "-t", "ext4", "-o", f"nosuid,nodev,noatime{more}", device, WHERE]) == 0


def stretch(device: str, start: bytes) -> None:
    """Have a mounted file system, which begins with START, fill a partition that has become larger. Its data stay usable meanwhile."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
    if size - extent(start) >= LEAST * SECTOR:
        command.run(["resize2fs", device])


def remake(device: str) -> bool:
    """Make the file system anew, with what can still be read of the old one in /data/aside."""
    say.warning(f"{device} cannot be repaired: its content is set aside, as far as it can be read")
    os.makedirs(SALVAGED, mode=0o700, exist_ok=True)
    if mount(device, ",ro,noload"):
        command.run(["cp", "-a", f"{WHERE}/.", SALVAGED])
        command.run(["umount", WHERE])
    else:  # for whoever wants to know what there was
        files.write(f"{SALVAGED}/first-bytes", (files.read(device, size=1 << 20) or b"")[: 1 << 20])
    if not (make(device) and mount(device)):
        return False
    aside = f"{WHERE}/aside"
    command.run(["rm", "-rf", aside])
    return command.run(["cp", "-a", SALVAGED, aside]) == 0 and command.run(["rm", "-rf", SALVAGED]) == 0
