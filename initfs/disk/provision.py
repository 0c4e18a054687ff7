"""provision: takes over what somebody put into initfs/ on the boot partition, then gives the machine what it was ever given.

Good files are moved to /data/provision, the card then has them no more; a secret's place there is overwritten first. A file with a
mistake stays, and errors.txt beside it says what is wrong. What is in /data/provision is put into place at each start.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.disk import command, offered, place

USAGE = "provision"
KEPT = "/data/provision"
SERVICES = "/etc/initfs/service"


def main(argv: list[str]) -> int:
    """0 when all that was there is in use, 1 when something was not taken over. An image without a disk has nothing to do."""
    if argv[1:]:
        raise say.usage(USAGE)
    disk = place.board().get("DISK")
    if not disk:
        return say.OK
    device = place.partitions(disk).get(place.BOOT)
    good = True
    if device is None:
        say.warning("there is no boot partition")
    else:
        try:
            good = look(device)
        except (OSError, say.Fatal) as error:
            say.warning(f"unable to take over what is on {device}: {error}")
            good = False
    apply()
    return say.OK if good else say.NO


def look(device: str) -> bool:
    """Read the folder; write to the partition only when there is something to take over."""
    with place.boot(device) as mounted:
        found = waiting(mounted.path("initfs"))
    if not found:
        return True
    with place.boot(device, writable=True) as mounted:
        return take(mounted.path("initfs"))


def waiting(folder: str) -> list[str]:
    """The files in the folder that somebody put there: paths below it."""
    found = []
    for where, _, names in os.walk(folder):
        inside = os.path.relpath(where, folder)
        found += [os.path.normpath(f"{inside}/{name}") for name in names]
    return sorted(name for name in found if name.lower() not in (offered.README, offered.ERRORS))


def take(folder: str) -> bool:
    """Take over each good file; tell of the others in errors.txt. False when there were some."""
    mistakes = []
    for name in waiting(folder):
        try:
            problem = _take(folder, name)
        except OSError as error:
            problem = say.reason(error)
        if problem:
            say.warning(f"{name}: {problem}")
            mistakes.append(f"{name}: {problem}\r\n")
    errors = f"{folder}/{offered.ERRORS}"
    files.remove(errors)
    if mistakes:
        files.tried(f"write {errors}", lambda: files.create(errors, "".join(mistakes).encode()))
    return not mistakes


def _take(folder: str, name: str) -> str:
    path = f"{folder}/{name}"
    data = files.read(path, size=offered.MOST + 1) or b""
    if problem := offered.mistake(name, data):
        return problem
    kind = offered.kind(name)
    keep(name.lower(), offered.plain(data), kind.mode if kind else 0o600)
    wipe(path, len(data), secret=bool(kind and kind.secret))
    say.info(f"{name} was taken over")
    return ""


def keep(name: str, data: bytes, mode: int) -> None:
    """Keep a file in /data, whole and on the disk."""
    target = f"{KEPT}/{name}"
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    os.chmod(KEPT, 0o700)
    files.write(target, data, mode=mode)
    os.sync()


def wipe(path: str, size: int, *, secret: bool) -> None:
    """Remove a file; a secret is overwritten where it is, on the card as far as the card itself does not move it."""
    if secret:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, bytes(size))
            os.fsync(fd)
        finally:
            os.close(fd)
    os.unlink(path)
    os.sync()


def apply(kept: str = KEPT, root: str = "", services: str = SERVICES) -> None:
    """Put what was ever given into the root file system, which is new at each start."""
    if (name := files.read(f"{kept}/hostname")) is not None:
        files.write(f"{root}/etc/hostname", name)
    if (keys := files.read(f"{kept}/authorized_keys", size=offered.MOST)) is not None:
        os.makedirs(f"{root}/root/.ssh", mode=0o700, exist_ok=True)
        files.write(f"{root}/root/.ssh/authorized_keys", keys, mode=0o600)
    if os.path.isdir(f"{kept}/network") and os.path.isdir(f"{services}/fw/conf"):
        command.run(["cp", f"{kept}/network/.", "-r", f"{services}/fw/conf/"])
    if (wifi := files.read(f"{kept}/wifi", size=offered.MOST)) is not None:
        for service in os.listdir(services):
            if service.startswith("supplicant_"):
                text = offered.supplicant(wifi.decode()).encode()
                files.write(f"{services}/{service}/wpa_supplicant.conf", text, mode=0o600)
