"""The numbers that syslog(3) puts before its lines, `<N>`, as `facility.priority: `. Pure. Source: `spec/logging.md` 2.5, RFC 3164."""

from __future__ import annotations

FACILITIES = (
    b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news", b"uucp", b"cron", b"authpriv", b"ftp",
    *[b"unknown"] * 4,
    *[b"local%d" % number for number in range(8)],
)  # fmt: skip
PRIORITIES = (b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug")
DIGITS_MAX = 10


def named(line: bytes) -> bytes:
    """The line with the number that it begins with as names; a line without one as it is."""
    end = line.find(b">", 1, DIGITS_MAX + 2)
    if line[:1] != b"<" or end < 0 or not line[1:end].isdigit():
        return line
    number = int(line[1:end])
    facility = FACILITIES[number >> 3] if number >> 3 < len(FACILITIES) else b"unknown"
    return facility + b"." + PRIORITIES[number & 7] + b": " + line[end + 1 :]
