"""Who may connect: rules by the user and group of a client, or by its address. Pure; the rules are looked up by a function.

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


def ip4_keys(address: bytes) -> Iterator[str]:
    """The networks that an IPv4 address (4 bytes) is in, the smallest first: ip4/A.B.C.D_32 to ip4/0.0.0.0_0."""
    for length in range(32, -1, -1):
        masked = _masked(address, length)
        yield f"ip4/{'.'.join(map(str, masked))}_{length}"


def ip6_keys(address: bytes) -> Iterator[str]:
    """The same for an IPv6 address (16 bytes), written as RFC 5952 wants: ip6/fe80::1_128 to ip6/::_0."""
    for length in range(128, -1, -1):
        yield f"ip6/{ip6_text(_masked(address, length))}_{length}"


def name_keys(name: str) -> Iterator[str]:
    """The domains that a host is in: reversedns/www.example.org, its parents, and reversedns/@ for all.

    Who answers for an address writes its name as he likes: one that is no host name could be the path of another rule, and counts as none.
    """
    labels = name.removesuffix(".").lower().split(".")
    if all(map(_is_label, labels)):
        for at in range(len(labels)):
            yield "reversedns/" + ".".join(labels[at:])
    yield "reversedns/@"


def _is_label(text: str) -> bool:
    return text.isascii() and text.replace("-", "").replace("_", "").isalnum()


def ip6_text(address: bytes) -> str:
    """RFC 5952: lower case, no leading zeros, the longest row of two or more zero groups, the first of equals, becomes `::`."""
    groups = [int.from_bytes(address[at : at + 2], "big") for at in range(0, 16, 2)]
    best, length = 0, 1
    for start in range(8):
        end = start
        while end < 8 and not groups[end]:
            end += 1
        if end - start > length:
            best, length = start, end - start
    texts = [f"{group:x}" for group in groups]
    if length < 2:
        return ":".join(texts)
    return f"{':'.join(texts[:best])}::{':'.join(texts[best + length :])}"


def decide(keys: Iterator[str], look_up: Lookup) -> tuple[str, Rule]:
    """The key that decides and its rule; ("", DENIED) when no key has a rule."""
    for key in keys:
        rule = look_up(key)
        if rule is not None:
            return key, rule
    return "", DENIED


def _masked(address: bytes, length: int) -> bytes:
    bits = 8 * len(address)
    number = int.from_bytes(address, "big") >> (bits - length) << (bits - length)
    return number.to_bytes(len(address), "big")
