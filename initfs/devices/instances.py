"""hotplug-service: have an instance of a template in the scan directory, or have it no more; for devd, and by hand.

It appears whole, by a rename. It goes when it is down, so `finish` has run. What somebody else put there is left alone. Two at once wait for one
another, and what one that was killed began to remove, the next brings to its end.
"""

from __future__ import annotations

import fcntl
import os
import shutil

from initfs import files, options, say
from initfs.devices.templates import template
from initfs.loop import now
from initfs.supervise import linking
from initfs.supervise.client import SVDIR
from initfs.supervise.presence import Watch

USAGE = "hotplug-service [-d] [-s scandir] [-t templates]... add|remove name"
TEMPLATES = ("/data/template", "/etc/initfs/template")
IMAGE = "/etc/initfs/service"  # what is there comes by itself, at boot
MARK = ".hotplug"  # in a directory that was made here
FOR_DEVICE = b"device\n"  # in that file: it goes with its device, though nobody saw that go
LOCK = ".svscan/hotplug-lock"
PATIENCE = 60.0  # seconds for a service to go down


def main(argv: list[str]) -> int:
    """Exit code 100 when there is no template for the name."""
    given, rest = options.parse(argv[1:], "ds:t:", USAGE)
    scandir = dict(given).get("s", os.environ.get("SVDIR", SVDIR))
    folders = [text for letter, text in given if letter == "t"] or list(TEMPLATES)
    if len(rest) != 2 or rest[0] not in ("add", "remove"):
        raise say.usage(USAGE)
    name = linking.check_name(rest[1])
    lock = _alone(scandir)
    try:
        if os.path.lexists(_old(scandir, name)):
            _end(scandir, _old(scandir, name), _old(scandir, name))
        if rest[0] == "add":
            return add(scandir, folders, name, FOR_DEVICE if "d" in dict(given) else b"")
        return remove(scandir, name)
    finally:
        os.close(lock)


def of_devices(scandir: str) -> list[str]:
    """The instances that were made for devices, and those whose removal has not come to its end."""
    names = sorted(os.listdir(scandir))
    begun = [name[1:-4] for name in names if name[0] == "." and name.endswith(".old")]
    return begun + [name for name in names if _mark(f"{scandir}/{name}/{MARK}") == FOR_DEVICE]


def _mark(path: str) -> bytes | None:
    try:
        return files.read(path)
    except OSError:  # not all in there is a directory
        return None


def _alone(scandir: str) -> int:
    """Wait until nobody else adds or removes here; as long as the descriptor is open, nobody does, and it goes with whoever is killed."""
    try:
        fd = os.open(f"{scandir}/{LOCK}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        raise say.unable(f"lock {scandir}/{LOCK}", error) from error
    return fd


def add(scandir: str, folders: list[str], name: str, mark: bytes) -> int:
    """Make the instance unless there is a service of that name."""
    path = f"{scandir}/{name}"
    if os.path.lexists(path) or os.path.isdir(f"{IMAGE}/{name}"):
        return say.OK
    known = {each: f"{folder}/{each}" for folder in reversed(folders) for each in _entries(folder)}
    found = template(name, known)
    if not found:
        raise say.Fatal(say.USAGE, f"no template for {name} in {' '.join(folders)}")
    new = f"{scandir}/.{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(known[found], new, symlinks=True)
    files.write(f"{new}/{MARK}", mark)
    os.rename(new, path)
    _scan(scandir, b"a")
    say.info(f"{name}: there, made from {found}")
    return say.OK


def _entries(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def remove(scandir: str, name: str) -> int:
    """Take the instance out, wait until it is down, and remove it."""
    path = f"{scandir}/{name}"
    if os.path.exists(f"{path}/{MARK}"):
        _end(scandir, path, _old(scandir, name))
        say.info(f"{name}: gone")
    return say.OK


def _old(scandir: str, name: str) -> str:
    """Where an instance is while it ends."""
    return f"{scandir}/.{name}.old"


def _end(scandir: str, path: str, old: str) -> None:
    with Watch() as watch:
        watch.while_runs(scandir)
        for service in linking.services(path):
            watch.for_end(service)
        if path != old:
            os.rename(path, old)
        _scan(scandir, b"an")
        watch.wait(now() + PATIENCE)
    shutil.rmtree(old)


def _scan(scandir: str, letters: bytes) -> None:
    try:
        files.send(f"{scandir}/.svscan/control", letters)
    except OSError as error:
        raise say.unable(f"control the svscan of {scandir}", error) from error
