"""What a program takes along when it executes itself anew, as bytes: magic, version, length, checksum, and the values. Pure.

`marshal` is built into the interpreter, so that reading this costs no import. It is no format for files: who reads it is the
program that takes over from the one that wrote it, milliseconds later. What a newer version of us would not understand must not
be guessed at: the version is compared, and the reader goes by the `supervise/` directories instead.
"""

from __future__ import annotations

import marshal
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = b"initfs luggage\n"
VERSION = 2  # to be raised with every change of what is inside
HEAD = struct.Struct(">15sHIQ")
PRIME = (
    (1 << 61) - 1
)  # the checksum is the remainder of all bytes as one number: no change of up to 61 bits in a row escapes it
FORMAT = 4  # of marshal: what every Python from 3.4 reads


class Unreadable(Exception):
    """It is not what we wrote, or not for us."""


def pack(values: dict[str, Any]) -> bytes:
    """The bytes of plain values: dictionaries, lists, tuples, numbers, text."""
    body = marshal.dumps(values, FORMAT)
    return HEAD.pack(MAGIC, VERSION, len(body), checksum(body)) + body


def unpack(data: bytes) -> dict[str, Any]:
    """The values that were packed. Raises Unreadable."""
    if len(data) < HEAD.size:
        raise Unreadable(f"{len(data)} bytes")
    magic, version, length, check = HEAD.unpack_from(data)
    body = data[HEAD.size :]
    if magic != MAGIC:
        raise Unreadable("not luggage of ours")
    if version != VERSION:
        raise Unreadable(f"version {version}, not {VERSION}")
    if length != len(body) or check != checksum(body):
        raise Unreadable("damaged")
    try:
        values = marshal.loads(body)
    except (ValueError, EOFError, TypeError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(values, dict):
        raise Unreadable("no values")
    return values


def checksum(body: bytes) -> int:
    """What tells a damaged body from a whole one."""
    return int.from_bytes(b"\1" + body, "big") % PRIME
