"""svlog-cat: what services have logged, oldest first, all archives and `current`.

Several services are merged by time. `--since`, `--until`: moments as in moments.named; `-f` goes on as lines come, over rotations;
`--json`: an object for each line; `-d`: labels know no leap seconds (which a directory with a file `config` of svlogd tells by itself).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

from initfs import options, say, signals, tai
from initfs.log import moments
from initfs.log.reading import CATCH_ALL, Reader, directories, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USAGE = "svlog-cat [-f] [-d] [--since moment] [--until moment] [--json] service..."
LONG = {"follow": "f", "since": "s", "until": "u", "json": "j", "djb": "d"}
NANO = moments.NANO
OLD, NEW = -(1 << 70), 1 << 70
CHANGES = fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
LOOK_AGAIN = 1.0  # seconds, where the kernel tells nothing


def main(argv: list[str]) -> int:
    found, names = options.parse(argv[1:], "fds:u:j", USAGE, LONG)
    given = dict(found)
    if not names:
        raise say.usage(USAGE)
    signals.default(signals.PIPE)
    try:
        now = time.time_ns()
        since = moments.named(given["s"], now, local) if "s" in given else OLD
        until = moments.named(given["u"], now, local) if "u" in given else NEW
    except (ValueError, OverflowError) as error:
        raise say.Fatal(say.USAGE, f"no such moment: {error}") from None
    sources = [source for name in names for source in opened(name, djb="d" in given)]
    write = Writer("j" in given, several=len(names) > 1)
    plain = len(sources) == 1 and (since, until) == (OLD, NEW) and "j" not in given
    write.all(sources[0].plainly() if plain else within(sources, since, until))
    if "f" in given and until > now:
        follow(sources, write, since, until)
    return say.OK


def local(parts: tuple[int, ...]) -> int:
    """POSIX seconds of a local calendar moment."""
    return int(time.mktime((*parts, 0, 0, -1)))  # type: ignore[arg-type]


def opened(name: str, *, djb: bool) -> list[Source]:
    """The log directories of a service; say.Fatal 111 when there are none."""
    paths = directories(name)
    if not paths:
        raise say.Fatal(say.TEMPORARY, f"unable to find the log of {name}{hint(name)}")
    from itertools import pairwise

    try:
        sources = [Source(path, name, djb=djb) for path in paths]
        for kept, live in pairwise(sources):
            if not os.path.exists(f"{kept.reader.path}/current"):
                live.reader.leave_to(kept.reader)
    except OSError as error:
        raise say.unable(f"open the log of {name}", error) from error
    return sources


def hint(name: str) -> str:
    """Where to look instead for a service without a logger."""
    there = "/" not in name and os.path.isdir(f"{tree()}/{name}")
    return f": it has no logger; what it says is in the catch-all log: svlog-cat {CATCH_ALL}" if there else ""


class Source:
    """A log directory, and whose it is."""

    def __init__(self, path: str, name: str, *, djb: bool) -> None:
        self.reader = Reader(path)
        self.name = os.path.basename(os.path.abspath(name))
        self._offset = tai.DJB if djb or os.path.exists(f"{path}/config") else tai.LEAP
        self._latest = OLD
        self._seconds: dict[tuple[int, ...], int] = {}

    def plainly(self, *, ended: bool = True) -> Iterator[Line]:
        """The lines as they are."""
        for raw in self._raw(ended=ended):
            yield (OLD, self.name, raw, raw)

    def moments(self, *, ended: bool = True) -> Iterator[Line]:
        """The lines with their moments; one without a stamp is of the moment of the line before it."""
        for raw in self._raw(ended=ended):
            moment, text = moments.split(raw, self._local, self._offset)
            # A clock that is set back must not change the order of one service's lines.
            self._latest = self._latest if moment is None else max(self._latest, moment)
            yield (self._latest, self.name, raw, text)

    def _raw(self, *, ended: bool) -> Iterator[bytes]:
        yield from self.reader.lines()
        last = self.reader.last() if ended else b""
        if last:
            yield last

    def _local(self, parts: tuple[int, ...]) -> int:
        minute = parts[:5]  # mktime(3) is slow, and most lines share a minute
        if minute not in self._seconds:
            self._seconds = {minute: local((*minute, 0))}
        return self._seconds[minute] + parts[5]


if TYPE_CHECKING:
    Line = tuple[int, str, bytes, bytes]  # moment, service, the whole line, the line without its stamp


def within(sources: list[Source], since: int, until: int, *, ended: bool = True) -> Iterator[Line]:
    """The lines of all sources by time, from SINCE to UNTIL."""
    from heapq import merge

    lines = merge(*(source.moments(ended=ended) for source in sources), key=lambda line: line[0])
    return (line for line in lines if since <= line[0] <= until or (line[0] == OLD and since == OLD))


class Writer:
    """Writes lines to standard output, as they are or as JSON."""

    def __init__(self, as_json: bool, *, several: bool) -> None:
        self._json, self._several = as_json, several

    def all(self, lines: Iterable[Line]) -> None:
        """Write lines; whoever does not want any more has closed the pipe, and that ends us."""
        out = sys.stdout.buffer
        for line in lines:
            out.write(self._text(line))
        out.flush()

    def _text(self, line: Line) -> bytes:
        moment, name, raw, text = line
        if self._json:
            return self._object(moment, name, text)
        return name.encode(errors="surrogateescape") + b": " + raw + b"\n" if self._several else raw + b"\n"

    @staticmethod
    def _object(moment: int, name: str, text: bytes) -> bytes:
        import json

        told: dict[str, object] = {"service": name, "line": text.decode(errors="replace")}
        if moment != OLD:
            told = {"time": moment / NANO, **told}
        return json.dumps(told).encode() + b"\n"


def follow(sources: list[Source], write: Writer, since: int, until: int) -> None:
    """Write what comes, until UNTIL; the kernel tells of changes in the directories (F_NOTIFY).

    Closing any duplicate of a watched descriptor ends the watch, and os.listdir(fd) closes one: so each watch has a descriptor of its own.
    """
    from initfs.loop import NEVER, Loop, now

    loop = Loop()
    loop.on_signals(lambda _signum: None, signals.IO)
    deadline = NEVER if until == NEW else now() + (until - time.time_ns()) / NANO
    told = True
    for source in sources:
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source.reader.fd)
            fcntl.fcntl(fd, fcntl.F_NOTIFY, CHANGES)
        except OSError:
            told = False
    while now() < deadline:
        write.all(within(sources, since, until, ended=False))
        loop.turn(deadline if told else min(deadline, now() + LOOK_AGAIN))
