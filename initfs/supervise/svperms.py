"""svperms: show or change who may see the status of services, control them, and listen to their events.

Source: `spec/supervision.md` 1.6. Everything is in the modes of three files, so there is a table to read them and to make them.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import identity
from initfs.notify import fifodir
from initfs.supervise import client
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = "svperms [-v] [-u | -g group | -G group | -o | -O group] [-e | -E group] servicedir..."
OWNER, GROUP, PUBLIC = "owner", "group", "public"
# What of a service each file rules, and what its mode means.
FILES = {"status": "supervise", "control": "supervise/control", "events": "event"}
MODES: dict[str, dict[int, str]] = {
    "status": {0o700: OWNER, 0o710: GROUP, 0o711: PUBLIC},
    "control": {0o600: OWNER, 0o620: GROUP},
    "events": {fifodir.PUBLIC: PUBLIC, fifodir.RESTRICTED: GROUP},
}
# What each option gives: who, of what.
OPTIONS: dict[str, dict[str, str]] = {
    "u": {"status": OWNER, "control": OWNER},
    "g": {"status": GROUP, "control": OWNER},
    "G": {"status": GROUP, "control": GROUP},
    "o": {"status": PUBLIC, "control": OWNER},
    "O": {"status": PUBLIC, "control": GROUP},
    "e": {"events": PUBLIC},
    "E": {"events": GROUP},
}
NAMING = "gGOE"  # the options that name a group


@value
class Grant:
    """WHO gets at WHAT; a GID of None is the primary group of the owner."""

    what: str
    who: str
    gid: int | None


def main(argv: list[str]) -> int:
    given, names = options.parse(argv[1:], "vug:G:oO:eE:", USAGE)
    if not names:
        raise say.usage(USAGE)
    wanted = grants({option: text for option, text in given if option != "v"})
    show = not wanted or ("v", "") in given
    codes = []
    for name in names:
        directory = client.locate(name)
        for grant in wanted:
            change(directory, grant)
        codes += [report(directory, what) for what in FILES] if show else []
    return max(codes, default=say.OK)


def grants(given: Mapping[str, str]) -> list[Grant]:
    """What the options ask for; of two that speak of the same thing the last counts."""
    found: dict[str, Grant] = {}
    for option, group in given.items():
        gid = _gid(group) if option in NAMING else None
        for what, who in OPTIONS[option].items():
            found[what] = Grant(what, who, gid if who == GROUP else None)
    return list(found.values())


def _gid(text: str) -> int:
    gid = identity.number(text[1:]) if text.startswith(":") else identity.group(text)
    if gid is None:
        raise say.Fatal(say.USAGE, f"unknown group: {text}")
    return gid


def mode(what: str, who: str) -> int:
    """The mode that lets WHO get at WHAT."""
    return next(bits for bits, name in MODES[what].items() if name == who)


def change(directory: str, grant: Grant) -> None:
    """Give group and mode. say.Fatal 111 when the system says no."""
    path = f"{directory}/{FILES[grant.what]}"
    try:
        seen = os.stat(path)
        gid = primary_group(seen.st_uid, seen.st_gid) if grant.gid is None else grant.gid
        if gid != seen.st_gid:
            os.chown(path, -1, gid)
        os.chmod(path, mode(grant.what, grant.who))  # after chown, which takes set-gid away
    except OSError as error:
        raise say.unable(f"change {path}", error) from error


def primary_group(uid: int, unknown: int) -> int:
    """The primary group of a user; UNKNOWN for one without an account."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return unknown


def report(directory: str, what: str) -> int:
    """Print who may get at WHAT; 1 and a warning when that can't be said."""
    path = f"{directory}/{FILES[what]}"
    try:
        seen = os.stat(path)
    except OSError as error:
        say.warning(f"unable to look at {path}: {say.reason(error)}")
        return say.NO
    bits = seen.st_mode & 0o7777
    who = MODES[what].get(bits)
    if who is None:
        say.warning(f"unexpected mode of {path}: {bits:04o}")
        return say.NO
    print(f"{directory} {what}: {f'group {group_name(seen.st_gid)}' if who == GROUP else who}")
    return say.OK


def group_name(gid: int) -> str:
    """The name of a group, or `:gid` for one without a name."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f":{gid}"
