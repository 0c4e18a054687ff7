"""Records of logins: who is logged in where, and the machine's own beginning and end. Pure; the layout is utmp(5)'s.

A record has 384 bytes; on 64-bit systems that never ran 32-bit programs 400, with stamps of 64 bits.
"""

from __future__ import annotations

import struct

from initfs.value import value

WIDE = ("aarch64", "loongarch64")  # machines with records of 400 bytes
SIZE, WIDE_SIZE = 384, 400
RUN_LEVEL, BOOT_TIME, USER_PROCESS, DEAD_PROCESS = 1, 2, 7, 8
HEAD = struct.Struct("=h2xi32s4s32s256s")  # type, pid, line, id, user, host
STAMP, WIDE_STAMP = 340, 344


@value
class Login:
    """One record: what sort it is, whose, and on which line (a terminal below /dev)."""

    kind: int
    pid: int
    line: str
    user: str


def read(data: bytes, *, wide: bool) -> list[Login]:
    """The records in an utmp file."""
    size = WIDE_SIZE if wide else SIZE
    found = []
    for at in range(0, len(data) - size + 1, size):
        kind, pid, line, _, user, _ = HEAD.unpack_from(data, at)
        found.append(Login(kind, pid, text(line), text(user)))
    return found


def text(field: bytes) -> str:
    """A field up to its first zero."""
    return field.partition(b"\0")[0].decode(errors="replace")


def users(records: list[Login]) -> list[Login]:
    """Those who are logged in."""
    return [record for record in records if record.kind == USER_PROCESS and record.line]


def mark(kind: int, user: str, release: str, ns: int, *, wide: bool) -> bytes:
    """A record of the machine's own for wtmp: USER is `reboot` with BOOT_TIME, `shutdown` with RUN_LEVEL (last(1) shows them).

    RELEASE is the kernel's, NS nanoseconds since 1970.
    """
    record = bytearray(WIDE_SIZE if wide else SIZE)
    HEAD.pack_into(record, 0, kind, 0, b"~", b"~~", user.encode(), release.encode()[:255])
    seconds, micro = ns // 1_000_000_000, ns // 1000 % 1_000_000
    if wide:
        struct.pack_into("=qq", record, WIDE_STAMP, seconds, micro)
    else:
        struct.pack_into("=Ii", record, STAMP, seconds & 0xFFFFFFFF, micro)
    return bytes(record)
