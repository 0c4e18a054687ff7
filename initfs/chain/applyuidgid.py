"""applyuidgid: take on ids that are given as numbers, or that the environment names.

Source: `spec/chainloading.md` 3.2. An id of 0 means "leave it as it is", as in the original's code.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import identity
from initfs.chain import next as chain
from initfs.options import parse

USAGE = "applyuidgid [-z] [-u uid] [-g gid] [-G gidlist] [-U] prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "zu:g:G:U", USAGE)
    if not rest:
        raise say.usage(USAGE)
    uid = gid = 0
    groups: tuple[int, ...] | None = None
    for letter, text in found:  # a later option overrides an earlier one
        match letter:
            case "u":
                uid = _number(text)
            case "g":
                gid = _number(text)
            case "G":
                groups = _numbers(text)
            case "U":
                uid, gid, groups = _exported()
    identity.become(uid or None, gid or None, groups)
    if ("z", "") in found:
        identity.forget()
    return chain.run(rest, USAGE)


def _number(text: str) -> int:
    number = identity.number(text)
    if number is None:
        raise say.usage(USAGE)
    return number


def _numbers(text: str) -> tuple[int, ...]:
    numbers = identity.numbers(text)
    if numbers is None:
        raise say.usage(USAGE)
    return numbers


def _exported() -> tuple[int, int, tuple[int, ...]]:
    uid, gid = identity.number(_variable("UID")), identity.number(_variable("GID"))
    groups = identity.numbers(_variable("GIDLIST"))
    for name, value in zip(identity.VARIABLES, (uid, gid, groups), strict=True):
        if value is None:
            raise say.Fatal(say.USAGE, f"invalid {name}: {_variable(name)}")
    return uid or 0, gid or 0, groups or ()


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise say.Fatal(say.USAGE, f"{name} is not set") from None
