"""connlimit: refuse a connection when its client has too many. Between ipcserver-access, which may set the limit, and a program.

Source: `spec/localservices.md` 5.4.
"""

from __future__ import annotations

import os

from initfs import options, say
from initfs.chain import next as chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = "connlimit prog..."


def main(argv: list[str]) -> int:
    rest = following(argv)
    if not within(os.environ):
        return say.NO
    return chain.run(rest, USAGE)


def following(argv: list[str]) -> list[str]:
    """The program behind it, or wrong usage."""
    _, rest = options.parse(argv[1:], "", USAGE)
    if not rest:
        raise say.usage(USAGE)
    return rest


def within(environment: Mapping[str, str]) -> bool:
    """Whether ${PROTO}CONNNUM is below ${PROTO}CONNMAX, or there is no such limit. Fatal 100 when they are no numbers."""
    prefix = environment.get("PROTO", "")
    count, most = environment.get(f"{prefix}CONNNUM", ""), environment.get(f"{prefix}CONNMAX")
    if not prefix or not _number(count) or not (most is None or _number(most)):
        raise say.Fatal(say.USAGE, "PROTO and CONNNUM must be set, CONNNUM and CONNMAX numbers")
    return most is None or int(count) < int(most)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12
