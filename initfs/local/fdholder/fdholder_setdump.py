"""fdholder-setdump: have all descriptors held that the variables of fdholder-getdump tell of. Source: `spec/localservices.md` 5.6."""

from __future__ import annotations

import os

from initfs import say, tai
from initfs.local.fdholder import commands
from initfs.local.fdholder.client import Dumped
from initfs.local.fdholder.fdholder_getdump import COUNT, LIMIT, NAME, NUMBER
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = "fdholder-setdump [-t ms] path"
MOST = 1 << 20


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "t:", USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    try:
        dump = told(os.environb)
    except ValueError as error:
        raise say.Fatal(say.USAGE, f"unable to understand the variables of a dump: {error}") from error
    try:
        for one in dump:
            os.fstat(one.descriptor)  # before a connection can take its number
    except OSError as error:
        raise say.unable(f"store descriptor {one.descriptor}", error) from error
    until = commands.deadline(dict(found).get("t", "0"), USAGE)
    commands.ask(rest[0], until, "set the dump", lambda holder: holder.set_dump(dump))
    return say.OK


def told(environment: Mapping[bytes, bytes]) -> list[Dumped]:
    """The dump that the variables tell of. ValueError, with the variable, when one is missing or makes no sense."""
    return [_one(environment, b"%d" % index) for index in range(_number(environment, COUNT))]


def _one(environment: Mapping[bytes, bytes], index: bytes) -> Dumped:
    name, limit = environment.get(NAME + index), environment.get(LIMIT + index)
    if not name or len(name) > 255:
        raise ValueError(os.fsdecode(NAME + index))
    moment = None if limit is None else tai.parse(os.fsdecode(limit))
    return Dumped(_number(environment, NUMBER + index), name, moment)


def _number(environment: Mapping[bytes, bytes], name: bytes) -> int:
    text = environment.get(name, b"")
    if not text.isdigit() or len(text) > 9 or int(text) > MOST:
        raise ValueError(os.fsdecode(name))
    return int(text)
