"""Who may connect: rules by the user and group of a client. Pure; the rules are looked up by a function.

Keys are tried in order; the first whose rule says allow or deny decides; nobody is let in without a rule, root included.
Source: `spec/localservices.md` 5.3.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@value
class Rule:
    """What is said of one key. ENVIRONMENT: a value for each variable, None removes it. EXEC: a script to run instead, or b""."""

    allowed: bool
    environment: tuple[tuple[bytes, bytes | None], ...] = ()
    exec: bytes = b""


DENIED = Rule(allowed=False)
if TYPE_CHECKING:
    Lookup = Callable[[str], Rule | None]


def account_keys(uid: int, gid: int, own_uid: int, own_gid: int) -> Iterator[str]:
    """The keys of a client of this machine, in order."""
    if uid == own_uid:
        yield "uid/self"
    yield f"uid/{uid}"
    if gid == own_gid:
        yield "gid/self"
    yield f"gid/{gid}"
    yield "uid/default"


def decide(keys: Iterator[str], look_up: Lookup) -> tuple[str, Rule]:
    """The key that decides and its rule; ("", DENIED) when no key has a rule."""
    for key in keys:
        rule = look_up(key)
        if rule is not None:
            return key, rule
    return "", DENIED
