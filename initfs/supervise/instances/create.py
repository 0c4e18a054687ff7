"""instance-create: make a live instance of an instanced service, and return when it is supervised.

Source: `spec/supervision.md` 1.10. The copy is made under a name with a dot and renamed, so that it appears as a whole.
"""

from __future__ import annotations

import os
import shutil  # here, before the user is another one

from initfs import files, options, say
from initfs.supervise import linking
from initfs.supervise.instances import layout

USAGE = "instance-create [-d|-D] [-P] [-f] [-t ms] service name"


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], linking.LETTERS, USAGE)
    if len(rest) != 2:
        raise say.usage(USAGE)
    how = linking.options(given, USAGE)
    service, name = layout.locate(*rest)
    layout.become_owner(service)
    copy = f"{service}/{layout.COPIES}/{name}"
    if os.path.lexists(copy):
        raise say.Fatal(say.USAGE, f"the instance {copy} exists already")
    replicate(f"{service}/{layout.TEMPLATE}", copy)
    try:
        linking.link(f"{service}/{layout.LIVE}", copy, name, f"../{layout.COPIES}/{name}", how)
    except BaseException:
        remove(copy)
        raise
    return say.OK


def replicate(source: str, target: str) -> None:
    """Copy a directory: modes, owners, links and FIFOs as they are. say.Fatal 111, and nothing is left, when that fails."""
    directory, name = os.path.split(target)
    hidden = f"{directory}/.{name}"
    try:
        remove(hidden)
        copy_tree(source, hidden)
        os.rename(hidden, target)
    except OSError as error:
        files.tried(f"remove {hidden}", lambda: remove(hidden))
        raise say.unable(f"copy {source} to {target}", error) from error


def copy_tree(source: str, target: str) -> None:
    """Copy what is SOURCE. A FIFO is made anew: nobody may be waited for to write into it."""
    seen = os.lstat(source)
    kind = seen.st_mode & 0o170000
    if kind == 0o120000:
        os.symlink(os.readlink(source), target)
    elif kind == 0o040000:
        os.mkdir(target, 0o700)
        for name in os.listdir(source):
            copy_tree(f"{source}/{name}", f"{target}/{name}")
    elif kind == 0o010000:
        os.mkfifo(target, 0o600)
    else:
        shutil.copyfile(source, target)
    if (seen.st_uid, seen.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
        os.chown(target, seen.st_uid, seen.st_gid, follow_symlinks=False)
    if kind != 0o120000:
        os.chmod(target, seen.st_mode & 0o7777)


def remove(path: str) -> None:
    """Remove a directory and what is in it; none is no error."""
    if os.path.lexists(path):
        shutil.rmtree(path)
