"""What a client may do with a descriptor holder: the environment of the rule that let it in. Source: `spec/localservices.md` 5.6.

A right is granted by a variable that is there; of store and retrieve the value is an extended regular expression that identifiers
must match. The same variables with `S6_` before them count too, so that rules written for s6 go on.
"""

from __future__ import annotations

import os

from initfs.local.fdholder.protocol import Delete, GetDump, List, Part, Retrieve, SetDump, Store
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.local.access import Rule
    from initfs.local.fdholder.protocol import Request
    from initfs.notify.ere import Expression

PREFIX = b"S6_"
STORE, RETRIEVE = b"FDHOLDER_STORE_REGEX", b"FDHOLDER_RETRIEVE_REGEX"
LIST, GETDUMP, SETDUMP = b"FDHOLDER_LIST", b"FDHOLDER_GETDUMP", b"FDHOLDER_SETDUMP"


@value
class Rights:
    """An expression or None each for storing (and deleting) and retrieving; the others are plain."""

    store: Expression | None = None
    retrieve: Expression | None = None
    list: bool = False
    getdump: bool = False
    setdump: bool = False


def granted(rule: Rule) -> Rights:
    """The rights of a client that RULE let in. ValueError when an expression is none."""
    there = {name.removeprefix(PREFIX): text for name, text in rule.environment if text is not None}
    return Rights(
        _expression(there.get(STORE)),
        _expression(there.get(RETRIEVE)),
        LIST in there,
        GETDUMP in there,
        SETDUMP in there,
    )


def allows(rights: Rights, request: Request) -> bool:
    """Whether a client with these RIGHTS may have what it asks for."""
    match request:
        case Store(entry):
            return _matches(rights.store, entry.name)
        case Delete(name):
            return _matches(rights.store, name)
        case Retrieve(name, delete):
            return _matches(rights.retrieve, name) and (not delete or _matches(rights.store, name))
        case List():
            return rights.list
        case GetDump():
            return rights.getdump
        case SetDump() | Part():
            return rights.setdump
    return False


_known: dict[bytes, Expression] = {}


def _expression(text: bytes | None) -> Expression | None:
    """Compiled once: a client connects often."""
    if text is None:
        return None
    if text not in _known:
        from initfs.notify.ere import Expression

        if len(_known) >= 64:
            _known.clear()
        _known[text] = Expression(os.fsdecode(text))
    return _known[text]


def _matches(expression: Expression | None, name: bytes) -> bool:
    return expression is not None and expression.matches(name)
