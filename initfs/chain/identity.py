"""Accounts and ids, shared by the loaders that change or name them: who is it, and become it.

Source: `spec/chainloading.md` 3.2. `pwd` and `grp` are imported here, once, so that they are loaded before a chroot.
"""

from __future__ import annotations

import grp
import os
import pwd

from initfs import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 2**32 - 2  # the one above means "leave it" to the kernel
VARIABLES = ("UID", "GID", "GIDLIST")


def number(text: str) -> int | None:
    """The id that TEXT is in decimal, or None."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if int(text) <= LARGEST else None


def numbers(text: str) -> tuple[int, ...] | None:
    """Ids separated by commas, perhaps none; None when one of them is not an id."""
    found = [number(word) for word in text.split(",")] if text else []
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else None


def user(name: str) -> tuple[int, int] | None:
    """(uid, primary gid) of an account, or None when nobody knows it."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    return entry.pw_uid, entry.pw_gid


def uid(name: str) -> int | None:
    """The uid of an account, or None when nobody knows it."""
    known = user(name)
    return known and known[0]


def group(name: str) -> int | None:
    """The gid of a group, or None when nobody knows it."""
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None


def memberships(name: str) -> tuple[int, ...]:
    """The gids of all groups that list the account as a member."""
    return tuple(entry.gr_gid for entry in grp.getgrall() if name in entry.gr_mem)


def become(uid: int | None, gid: int | None, groups: Sequence[int] | None) -> None:
    """Take these ids, None leaves one as it is. Groups first: without root's uid nothing else could be changed any more.

    Raises Fatal 111 when the kernel says no; what has been taken by then stays taken, so the caller must end.
    """
    for what, change in (
        ("set supplementary groups", groups is not None and (lambda: os.setgroups(list(groups)))),
        (f"set gid to {gid}", gid is not None and (lambda: os.setgid(gid))),
        (f"set uid to {uid}", uid is not None and (lambda: os.setuid(uid))),
    ):
        try:
            if change:
                change()
        except OSError as error:
            raise say.unable(what, error) from None


def export(uid: int | None = None, gid: int | None = None, groups: Sequence[int] | None = None) -> None:
    """Put the ids that are given into UID, GID and GIDLIST."""
    if uid is not None:
        os.environ["UID"] = str(uid)
    if gid is not None:
        os.environ["GID"] = str(gid)
    if groups is not None:
        os.environ["GIDLIST"] = ",".join(map(str, groups))


def forget() -> None:
    """Remove UID, GID and GIDLIST."""
    for name in VARIABLES:
        os.environ.pop(name, None)
