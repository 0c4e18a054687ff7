"""rc-format-upgrade: have a live directory use a database of the same services in another format. No service is touched.

The old database can't be read by a program that knows only the new format, and need not be: the same sources give the same numbers, so the
state remains as it is, and the link to the database is replaced by one rename. Source: `spec/service-manager.md` 6.8.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.manager import database, disk, live, locks
from initfs.manager.switch import refresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.model import Database

USAGE = "rc-format-upgrade [-v n] [-l live] [-t ms] [-b] newcompiled"
LONG = {"verbosity": "v", "livedir": "l", "timeout": "t", "block": "b"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "v:l:t:b", USAGE, LONG)
    found = dict(given)
    for letter in "vt":
        options.number(found.get(letter, "0"), USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    path, compiled = found.get("l", live.LIVE), rest[0]
    if not compiled.startswith("/"):
        raise say.Fatal(say.USAGE, f"newcompiled must be an absolute path: {compiled}")
    locks.take(path, locks.EXCLUSIVE, block="b" in found)
    locks.take(compiled, locks.SHARED, block="b" in found)
    made = database.load(compiled)
    _check(path, made)
    try:
        new = disk.temporary(f"{path}/compiled")
        files.remove(new)
        os.symlink(compiled, new)
        os.rename(new, f"{path}/compiled")
        disk.write(f"{path}/.initfs.new", live.launcher(), 0o755)
        os.rename(f"{path}/.initfs.new", f"{path}/initfs")
        for name in made.names[: made.longruns]:
            refresh(f"{compiled}/servicedirs/{name}", f"{path}/servicedirs/{name}")
    except OSError as error:
        raise say.unable(f"change {path}", error) from error
    return say.OK


def _check(path: str, made: Database) -> None:
    """say.Fatal 4 unless the live directory is one of the same services."""
    state = files.read(f"{path}/state", size=1 << 24) or b""
    there = set(os.listdir(f"{path}/servicedirs"))
    if len(state) != len(made) or there != set(made.names[: made.longruns]):
        raise say.Fatal(database.INVALID, "the new database has other services: rc-update is for that")
