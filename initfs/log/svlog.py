"""svlog: read lines on standard input, and do with each what a script of words says.

Source: `spec/logging.md` 2.2; what it promises is in `docs/logging.md`.
"""

from __future__ import annotations

import fcntl
import os

from initfs import files, options, say, signals, tai
from initfs.log import script
from initfs.log.engine import Engine
from initfs.log.logdir import Busy
from initfs.log.stream import Stream, Ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE = "svlog [-d notif] [-q | -v] [-b] [-p] [-l linelimit] [-t lastline_ms] directive..."
LONG = {
    "notification-fd": "d",
    "quiet": "q",
    "verbose": "v",
    "blocking": "b",
    "protect": "p",
    "line-limit": "l",
    "lastline-timeout": "t",
}
SHORTEST = 48  # of a line limit


def main(argv: list[str]) -> int:
    found, words = options.parse(argv[1:], "d:qvbpl:t:", USAGE, LONG)
    given = dict(found)
    notification = _opened(given["d"]) if "d" in given else -1
    limit = options.number(given.get("l", "8192"), USAGE)
    ways = Ways(
        max(limit, SHORTEST) if limit else 0, options.number(given.get("t", "2000"), USAGE) / 1000, tai.LEAP
    )
    say.quiet = sum(1 if letter == "v" else -1 for letter, _ in found if letter in "qv") < 0
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    return serve(lambda: opened(0, words, ways), notification, protected="p" in given)


def _opened(text: str) -> int:
    fd = options.number(text, USAGE)
    if fd < 3:
        raise say.Fatal(say.USAGE, f"descriptor {fd} is one of the standard ones")
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError as error:
        raise say.unable(f"use descriptor {fd}", error, say.USAGE) from error
    return fd


def opened(fd: int, words: Sequence[str], ways: Ways) -> Stream:
    """The Stream of a script, all that it writes to open; say.Fatal 100 for a wrong script, 111 as `started`."""
    try:
        parsed = script.parse(words)
        stream = Stream(fd, parsed, ways)
    except script.BadScript as error:
        raise say.Fatal(say.USAGE, f"unable to understand the script: {error}") from None
    for text in parsed.warnings:
        say.warning(text)
    return started(stream)


def started(stream: Stream) -> Stream:
    """The stream, with all that it writes to open; say.Fatal 111 when something cannot be opened."""
    try:
        stream.open()
    except Busy:
        raise say.Fatal(say.TEMPORARY, f"unable to lock {stream.failed}: another logger has it") from None
    except OSError as error:
        raise say.unable(f"use the log directory {stream.failed}", error) from error
    return stream


def serve(begin: Callable[[], Stream], notification: int, *, protected: bool) -> int:
    """Log until the input or a signal ends it. BEGIN opens the stream, once signals are heard."""
    engine = Engine()
    engine.on_signals(protected=protected)
    stream = begin()
    if notification >= 0:
        files.tried("announce readiness", lambda: os.write(notification, b"\n"))
        os.close(notification)
    engine.add(stream)
    while engine.streams:
        engine.turn()
    return say.OK
