"""envuidgid: put an account's ids into UID, GID and GIDLIST, and change nothing else.

Source: `spec/chainloading.md` 3.2. For a server that must begin as root and drop its rights itself.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import identity
from initfs.chain import next as chain
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    Default = tuple[int, int, tuple[int, ...]] | None
    Ids = tuple[int | None, int | None, tuple[int, ...] | None]

USAGE = "envuidgid [-u | -g | -B] [-n] [-i | -D uid:gid:gidlist] account prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "ugBniD:", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    kind, default = "", None
    for letter, text in found:  # the last word is the valid one
        if letter in "ugB":
            kind = letter
        elif letter in "iD":
            default = defaults(text) if letter == "D" else None
    identity.export(*ids(kind, rest[0], default, literal=("n", "") in found))
    return chain.run(rest[1:], USAGE)


def defaults(text: str) -> tuple[int, int, tuple[int, ...]]:
    """What stands for an unknown account: `uid:gid:gid,gid`; what is missing is 0, or no group."""
    uid, gid, groups = [*text.split(":", 2), "", ""][:3]
    wanted = (identity.number(uid or "0"), identity.number(gid or "0"), identity.numbers(groups))
    match wanted:
        case (int(one), int(two), tuple(three)):
            return one, two, three
    raise say.usage(USAGE)


def ids(kind: str, name: str, default: Default, *, literal: bool) -> Ids:
    """What to export for NAME, which is by KIND a user, a group, both, or an account with all that belongs to it."""
    user, group = name, name
    if kind == "B":
        user, _, group = name.partition(":")
    if kind:
        return (
            _one("user", user, default and default[0], literal) if kind in "uB" else None,
            _one("group", group, default and default[1], literal) if kind in "gB" else None,
            None,
        )
    known = identity.user(name)
    if known is not None:
        return *known, identity.memberships(name)
    if literal and identity.number(name) is not None:
        return identity.number(name), default[1] if default else 0, None
    return default or (_one("user", name, None, literal), None, None)


def _one(what: str, name: str, default: int | None, literal: bool) -> int:
    if not name:
        return default or 0
    known = identity.uid(name) if what == "user" else identity.group(name)
    for each in (known, identity.number(name) if literal else None, default):
        if each is not None:
            return each
    raise say.Fatal(say.NO, f"unknown {what}: {name}")
