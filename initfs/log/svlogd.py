"""svlogd: runit's logger. Each directory says in its file `config` what it wants.

Source: `spec/logging.md` 2.3. It is svlog with other words, so the promises are svlog's. Labels are without leap seconds, as its readers expect.
"""

from __future__ import annotations

import os

from initfs import files, options, say, signals, tai
from initfs.log import configuration
from initfs.log.engine import Engine
from initfs.log.logdir import Busy
from initfs.log.script import DIRECTORY, Action, Script
from initfs.log.stream import Stream, Ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.route import Lines
    from initfs.log.script import Step

USAGE = "svlogd [-tttv] [-r c] [-R chars] [-l len] [-b buflen] dir..."
CONFIG_SIZE = 65536


def main(argv: list[str]) -> int:
    try:
        found, dirs = options.parse(argv[1:], "tvr:R:l:b:", USAGE)
        given = dict(found)
        length = options.number(given.get("l", "1000"), USAGE, 1)
        if (
            not dirs
            or options.number(given.get("b", "1048576"), USAGE) <= length
            or len(given.get("r", "_")) != 1
        ):
            raise say.usage(USAGE)
    except say.Fatal as fatal:
        raise say.Fatal(say.TEMPORARY, str(fatal)) from None  # runit's code for wrong usage
    files.have_standard_descriptors()
    signals.ignore(signals.PIPE)
    table = replacement(given.get("r", ""), given.get("R", ""))
    stamp = configuration.STAMPS[min(3, sum(letter == "t" for letter, _ in found))]
    return Svlogd(dirs, stamp, Ways(0, 0.0, tai.DJB, table=table), length).run()


def replacement(character: str, more: str) -> bytes:
    """What each byte becomes: what is not printable, and the bytes of MORE, become CHARACTER; b"" when all stay."""
    if not character and not more:
        return b""
    into = os.fsencode(character)[:1] or b"_"
    changed = set(os.fsencode(more)) | ({*range(32), *range(127, 256)} if character else set())
    return bytes(into[0] if byte in changed and byte not in (0, 10) else byte for byte in range(256))


class Svlogd:
    """The directories of a command line, read again at each HUP."""

    def __init__(self, dirs: list[str], stamp: configuration.Stamp, ways: Ways, length: int) -> None:
        self._dirs, self._stamp, self._ways, self._length = dirs, stamp, ways, length
        self._reread = False
        self._engine = Engine()
        self._engine.loop.on_signals(self._signalled, signals.TERM, signals.HUP, signals.ALRM, signals.CHLD)

    def run(self) -> int:
        """Log until the end of the input, or TERM."""
        self._engine.add(self._begin(b""))
        while self._engine.streams:
            ended = self._engine.turn()
            if ended and self._reread:
                self._reread = False
                self._engine.add(self._begin(ended[0].left_over))
        return say.OK

    def _signalled(self, signum: int) -> None:
        if signum != signals.HUP:
            self._engine.signalled(signum)
            return
        for stream in self._engine.streams:
            if not stream.ended:
                self._reread = True
                stream.rest()

    def _begin(self, left_over: bytes) -> Stream:
        """A stream into all directories that can be used. say.Fatal 111: there is none."""
        steps: list[Step] = []
        for path in self._dirs:
            steps += self._steps(path)
        while any(isinstance(step, Action) for step in steps):
            stream = Stream(0, Script(tuple(steps)), self._ways, self._pattern)
            try:
                stream.open(left_over)
            except (OSError, Busy) as error:
                why = say.reason(error) if isinstance(error, OSError) else "another logger has it"
                say.warning(f"unable to use the log directory {stream.failed}: {why}")
                stream.abandon()
                steps = without(steps, stream.failed)
            else:
                return stream
        raise say.Fatal(say.TEMPORARY, "no functional log directories")

    def _steps(self, path: str) -> list[Step]:
        try:
            if not os.path.isdir(path):
                os.stat(path)
                raise NotADirectoryError(20, os.strerror(20))
            config = files.read(f"{path}/config", size=CONFIG_SIZE) or b""
        except OSError as error:
            say.warning(f"unable to open the log directory {path}: {say.reason(error)}")
            return []
        wanted = configuration.parse(config.decode(errors="surrogateescape"), self._length)
        for text in wanted.warnings:
            say.warning(f"{path}/config: {text}")
        where = path if path[:1] in "/." else f"./{path}"
        return configuration.steps(where, wanted, self._stamp, self._length)

    def _pattern(self, text: str) -> Lines:
        from initfs.log.star import Star

        return Star(text, self._length)


def without(steps: list[Step], path: str) -> list[Step]:
    """The steps without the directory PATH; its patterns decide on nothing then."""
    return [
        step
        for step in steps
        if not (isinstance(step, Action) and step.kind == DIRECTORY and step.path == path)
    ]
