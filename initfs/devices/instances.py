"""hotplug-service: have an instance of a template in the scan directory, or have it no more; for devd, and by hand.

It appears whole, by a rename. It goes when it is down, so `finish` has run. What somebody else put there is left alone.
"""

from __future__ import annotations

import os
import shutil

from initfs import files, options, say
from initfs.devices.templates import template
from initfs.loop import now
from initfs.supervise import linking
from initfs.supervise.client import SVDIR
from initfs.supervise.presence import Watch

USAGE = "hotplug-service [-s scandir] [-t templates]... add|remove name"
TEMPLATES = ("/data/template", "/etc/initfs/template")
IMAGE = "/etc/initfs/service"  # what is there comes by itself, at boot
MARK = ".hotplug"  # in a directory that was made here
PATIENCE = 60.0  # seconds for a service to go down


def main(argv: list[str]) -> int:
    """Exit code 100 when there is no template for the name."""
    given, rest = options.parse(argv[1:], "s:t:", USAGE)
    scandir = dict(given).get("s", os.environ.get("SVDIR", SVDIR))
    folders = [text for letter, text in given if letter == "t"] or list(TEMPLATES)
    match rest:
        case ["add", name]:
            return add(scandir, folders, linking.check_name(name))
        case ["remove", name]:
            return remove(scandir, linking.check_name(name))
    raise say.usage(USAGE)


def add(scandir: str, folders: list[str], name: str) -> int:
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
    files.create(f"{new}/{MARK}")
    os.rename(new, path)
    _scan(scandir, b"a")
    say.info(f"{name}: there, made from {found}")
    return say.OK


def _entries(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def remove(scandir: str, name: str) -> int:
    """Take the instance out, wait until it is down, and remove it."""
    path, old = f"{scandir}/{name}", f"{scandir}/.{name}.old"
    if not os.path.exists(f"{path}/{MARK}"):
        return say.OK
    shutil.rmtree(old, ignore_errors=True)
    with Watch() as watch:
        watch.while_runs(scandir)
        for service in linking.services(path):
            watch.for_end(service)
        os.rename(path, old)
        _scan(scandir, b"an")
        watch.wait(now() + PATIENCE)
    shutil.rmtree(old)
    say.info(f"{name}: gone")
    return say.OK


def _scan(scandir: str, letters: bytes) -> None:
    try:
        files.send(f"{scandir}/.svscan/control", letters)
    except OSError as error:
        raise say.unable(f"control the svscan of {scandir}", error) from error
