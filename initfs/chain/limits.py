"""Resource limits: which letter is which limit, and what is to become of one. The deciding part is pure.

Source: `spec/chainloading.md` 3.3.
"""

from __future__ import annotations

import resource

from initfs import say
from initfs.chain import next as chain

INFINITE = 2**64 - 1
SOFT, HARD, BOTH = "soft", "hard", "both"  # which of the two is to be changed

NAMES: dict[str, tuple[str, ...]] = {
    "a": ("AS",),
    "c": ("CORE",),
    "d": ("DATA",),
    "f": ("FSIZE",),
    "l": ("MEMLOCK",),
    "m": ("DATA", "STACK", "MEMLOCK", "AS"),
    "o": ("NOFILE",),
    "P": ("RTPRIO",),
    "p": ("NPROC",),
    "r": ("RSS",),
    "s": ("STACK",),
    "t": ("CPU",),
}

# A link that follows in this process imports a module: with a few files or bytes it could not. Lowering these waits for
# the exec; raising them does not, because the link that follows may give up the right to.
_LATER = ("AS", "DATA", "STACK", "NOFILE")
_pending: dict[int, tuple[int, int]] = {}


def amount(text: str, usage_line: str) -> int | None:
    """The number that TEXT is, None for `=`; anything else is wrong usage."""
    if text == "=":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= INFINITE):
        raise say.usage(usage_line)
    return int(text)


def changed(soft: int, hard: int, wanted: int | None, which: str) -> tuple[int, int]:
    """The new (soft, hard). WANTED None is `=`: the hard limit for a soft one, without limit for a hard one.

    The soft limit is never above the hard one: it is lowered to it.
    """
    if which == SOFT:
        return (hard if wanted is None else min(wanted, hard)), hard
    limit = INFINITE if wanted is None else wanted
    return (limit if which == BOTH else min(soft, limit)), limit


def limit(letter: str, wanted: int | None, which: str = SOFT) -> None:
    """Change the limits of LETTER; one that this system does not have is not missed. Raises Fatal 111."""
    for name in NAMES[letter]:
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue
        old = _pending.get(number) or _current(number)
        new = changed(*old, wanted, which)
        if name in _LATER and new[1] <= old[1]:
            _pending[number] = new
        else:
            _pending.pop(number, None)
            _set(number, new)


def _current(number: int) -> tuple[int, int]:
    soft, hard = resource.getrlimit(number)
    return soft % 2**64, hard % 2**64  # -1 is how Python spells infinite


def _set(number: int, new: tuple[int, int]) -> None:
    soft, hard = (-1 if each == INFINITE else each for each in new)
    try:
        resource.setrlimit(number, (soft, hard))
    except (OSError, ValueError) as error:  # ValueError: EPERM or EINVAL in Python's own words
        raise say.Fatal(say.TEMPORARY, f"unable to set limit: {error}") from None


def _settle() -> None:
    for number, new in _pending.items():
        _set(number, new)
    _pending.clear()


chain.at_exec.append(_settle)
