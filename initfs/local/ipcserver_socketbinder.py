"""ipcserver-socketbinder: make a Unix socket, bind it, listen, and run a program with it as descriptor 0.

Source: `spec/localservices.md` 5.2.
"""

from __future__ import annotations

from initfs import say
from initfs.chain import descriptors
from initfs.chain import next as chain
from initfs.local import sockets
from initfs.options import number, parse

INT_MAX = 0x7FFFFFFF
USAGE = "ipcserver-socketbinder [-d | -D] [-b backlog] [-M | -m] [-a mode] [-B] path prog..."


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "dDb:Mma:B", USAGE)
    given = dict(found)
    backlog = number(given.get("b", str(sockets.MAXIMUM_BACKLOG)), USAGE)
    kind = sockets.DATAGRAM if _last(found, "Mm") == "m" else sockets.STREAM
    if len(rest) < 2 or (kind == sockets.DATAGRAM and backlog):
        raise say.usage(USAGE)
    try:
        bound = sockets.bind(
            rest[0],
            kind,
            mode=mode(given.get("a", "0777"), USAGE),
            replace=_last(found, "dD") != "D",
            blocking="B" in given,
        )
        if backlog:
            bound.listen(min(backlog, INT_MAX))  # the kernel has a limit of its own, and does not say so
    except OSError as error:
        raise say.unable(f"bind to {rest[0]}", error) from error
    descriptors.move(0, bound.detach())
    return chain.run(rest[1:], USAGE)


def mode(text: str, usage_line: str) -> int:
    """Access rights in octal, 0 to 0777, or wrong usage."""
    if not text or text.strip("01234567") or int(text, 8) > 0o777:
        raise say.usage(usage_line)
    return int(text, 8)


def _last(found: list[tuple[str, str]], letters: str) -> str:
    return [letters[0], *(letter for letter, _ in found if letter in letters)][-1]
