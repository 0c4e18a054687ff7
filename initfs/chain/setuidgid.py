"""setuidgid: become an account, with its supplementary groups, or become bare numbers, without any.

Source: `spec/chainloading.md` 3.2. Leaves no UID, GID or GIDLIST behind in the environment.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import identity
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "setuidgid account prog..."


def main(argv: list[str]) -> int:
    _, rest = parse(argv[1:], "", USAGE)
    if len(rest) < 2:
        raise say.usage(USAGE)
    account = rest[0]
    if account:
        identity.become(*ids(account))
        identity.forget()
    return chain.run(rest[1:], USAGE)


def ids(account: str) -> tuple[int, int, tuple[int, ...]]:
    """(uid, gid, supplementary groups) of `uid:gid` or of an account. Raises Fatal 1 for an unknown one."""
    first, _, second = account.partition(":")
    uid, gid = identity.number(first), identity.number(second)
    if uid is not None and gid is not None:
        return uid, gid, ()
    known = identity.user(account)
    if known is None:
        raise say.Fatal(say.NO, f"unknown user: {account}")
    return *known, (known[1], *identity.memberships(account))
