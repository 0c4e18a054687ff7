"""An update file: one line of lengths, a header, its signature, then the parts of the new system one after the other. Pure.

    initfs-update 1 HEADERLENGTH SIGNATURELENGTH (and a newline)
    header: JSON; board, chain, version, arguments, and each part's name, bytes and sha256
    signature of the header, in signify(1)'s form
    the parts

The header is signed and has the parts' checksums, so nothing is written before the signature is known to be good, and
a file of any size is checked while it comes.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = b"initfs-update 1 "
LINE = 64  # bytes at most of the first line
HEADER_MOST, SIGNATURE_MOST = 65536, 4096
HEX = frozenset("0123456789abcdef")


class Invalid(Exception):
    """It is no update, or none for this machine; the text says why."""


class CutShort(Invalid):
    """It ends too early."""

    def __init__(self) -> None:
        super().__init__("it is cut short")


@value
class Part:
    """One file of the new system."""

    name: str
    bytes: int
    sha256: str


@value
class Header:
    """What an update says of itself."""

    board: str
    chain: str
    version: str
    arguments: str
    parts: tuple[Part, ...]


def lengths(line: bytes) -> tuple[int, int]:
    """The lengths of header and signature, from the first line. Raises Invalid."""
    words = line.removeprefix(MAGIC).split() if line.startswith(MAGIC) and line.endswith(b"\n") else []
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise Invalid("this is no update")
    header, signature = map(int, words)
    if not (0 < header <= HEADER_MOST and 0 < signature <= SIGNATURE_MOST):
        raise Invalid("its header has no sensible length")
    return header, signature


def header(text: bytes) -> Header:
    """Read a header whose signature is good. Raises Invalid: it is not complete."""
    import json

    try:
        fields = json.loads(text)
        parts = tuple(_part(each) for each in fields["files"])
        board, chain, version, arguments = (
            _word(fields[name]) for name in ("board", "chain", "version", "arguments")
        )
    except (ValueError, KeyError, TypeError):
        raise Invalid("its header is damaged") from None
    return Header(board, chain, version, arguments, parts)


def _part(fields: dict[str, Any]) -> Part:
    part = Part(_word(fields["name"]), int(fields["bytes"]), _word(fields["sha256"]))
    if part.bytes <= 0 or len(part.sha256) != 64 or not set(part.sha256) <= HEX:
        raise ValueError
    return part


def _word(text: object) -> str:
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise ValueError
    return text


def check(found: Header, board: str, chain: str, parts: set[str]) -> None:
    """Refuse an update that is for another machine, or does not have the PARTS that this one boots. Raises Invalid."""
    if found.board != board:
        raise Invalid(f"it is for the board {found.board}, this is {board}")
    if found.chain != chain:
        raise Invalid(f"it is for the boot chain {found.chain}, this is {chain}")
    names = [part.name for part in found.parts]
    if len(names) != len(parts) or set(names) != parts:
        raise Invalid(f"it has {' '.join(names)}, not {' '.join(sorted(parts))}")


def needed(found: Header) -> int:
    """The bytes of all parts."""
    return sum(part.bytes for part in found.parts)
