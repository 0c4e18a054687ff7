"""utmpset: record that nobody is logged in on a line any more; for the finish script of a getty.

Source: `spec/supervision.md` 1.9, utmp(5). A record has the same beginning everywhere; its stamp is two 32-bit numbers, but where a
64-bit system never had 32-bit programs, two of 64 bits.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

from initfs import options, say

USAGE = "utmpset [-w] line"
UTMP, WTMP = "/var/run/utmp", "/var/log/wtmp"
WIDE = ("aarch64", "loongarch64")  # machines with records of 400 bytes
SIZE, STAMP = 384, 340
WIDE_SIZE, WIDE_STAMP = 400, 344
DEAD, USER = 8, 7  # ut_type: DEAD_PROCESS, USER_PROCESS
LINE, NAME, HOST = slice(8, 40), slice(44, 76), slice(76, 332)


def main(argv: list[str]) -> int:
    try:
        given, rest = options.parse(argv[1:], "w", USAGE)
        if len(rest) != 1:
            raise say.usage(USAGE)
    except say.Fatal as fatal:
        raise say.Fatal(say.NO, str(fatal)) from fatal
    wide = os.uname().machine in WIDE
    try:
        record = log_out(UTMP, os.fsencode(rest[0]), wide=wide)
    except OSError as error:
        raise say.unable(f"log out line {rest[0]} in {UTMP}", error) from error
    if record is None:
        raise say.Fatal(say.TEMPORARY, f"unable to log out line {rest[0]} in {UTMP}: no such entry")
    if ("w", "") in given:
        append(WTMP, record)
    return say.OK


def log_out(path: str, line: bytes, *, wide: bool) -> bytes | None:
    """Change the record of LINE, and return it; None when nobody is logged in there."""
    size = WIDE_SIZE if wide else SIZE
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX)
        at = 0
        while len(record := os.pread(fd, size, at)) == size:
            if is_user(record, line):
                dead = logged_out(record, time.time_ns(), wide=wide)
                os.pwrite(fd, dead, at)
                return dead
            at += size
    finally:
        os.close(fd)
    return None


def is_user(record: bytes, line: bytes) -> bool:
    """Whether this is the record of somebody on LINE."""
    return struct.unpack_from("h", record) == (USER,) and record[LINE].rstrip(b"\0") == line[:32]


def logged_out(record: bytes, ns: int, *, wide: bool) -> bytes:
    """The record without its user since NS, nanoseconds since 1970."""
    changed = bytearray(record)
    struct.pack_into("h", changed, 0, DEAD)
    changed[NAME] = bytes(32)
    changed[HOST] = bytes(256)
    seconds, micro = ns // 1_000_000_000, ns // 1000 % 1_000_000
    if wide:
        struct.pack_into("qq", changed, WIDE_STAMP, seconds, micro)
    else:
        struct.pack_into("Ii", changed, STAMP, seconds & 0xFFFFFFFF, micro)
    return bytes(changed)


def append(path: str, record: bytes) -> None:
    """Add the record to the log of logins; that it can't be is a warning."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        say.warning(f"unable to log out in {path}: {say.reason(error)}")
        return
    os.write(fd, record)
    os.close(fd)
