"""A service's directory, once its files are read, as a Definition; everything that is wrong in it is found in one go.

Source: `spec/service-manager.md` 6.2; where its table leaves a case open (a blank before a name, a second line in `type`), what
s6-rc-compile does with it was tried out.
"""

from __future__ import annotations

from initfs import signals
from initfs.chain.words import BadScript, lex
from initfs.manager.model import (
    BUNDLE,
    ESSENTIAL,
    LONGRUN,
    ONESHOT,
    RECOMMENDED,
    RESERVED,
    Definition,
    Fault,
    Script,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Raw = Mapping[str, bytes | list[str]]  # a file's content, a directory's entries

KINDS = {ONESHOT.encode(): ONESHOT, LONGRUN.encode(): LONGRUN, BUNDLE.encode(): BUNDLE}
FLAGS = {"flag-essential": ESSENTIAL, "flag-recommended": RECOMMENDED}
NUMBERS = ("notification-fd", "lock-fd", "timeout-kill", "timeout-finish", "max-death-tally")
SIGNALS = ("down-signal", "reload-signal")
EMPTY = ("flag-timeout-killpg", "flag-newpidns")
TREES = ("data", "env", "template", "instance", "instances")
PROGRAMS = ("run", "finish")
SCRIPTS = ("down", "up", "reload")
COMMON = ("dependencies.d", "dependencies", "timeout-up", "timeout-down", *FLAGS)
FILES = {  # the files that mean something, by kind of service; whatever else there is, is ignored
    ONESHOT: frozenset((*COMMON, *SCRIPTS)),
    LONGRUN: frozenset((*COMMON, "producer-for", "consumer-for", "pipeline-name", *NUMBERS, *SIGNALS)),
    BUNDLE: frozenset(("contents.d", "contents", *FLAGS)),
}
MOST = 1 << 32  # numbers are below this
LAUNCHERS = ("execlineb", "chain")  # as a script's interpreter they mean: this is a command line


def kind(content: bytes) -> str:
    """The kind of service that the file `type` names; "" when it names none. Only its first 8 bytes count."""
    head = content[:8]
    if head.endswith(b"\n"):
        head = head[:-1]
    elif len(head) == 8:
        return ""
    return KINDS.get(head.partition(b"\0")[0], "")


def reserved(name: str) -> bool:
    """Whether the name is one that only we may give."""
    return name.startswith(RESERVED)


def parse(
    name: str, kind_: str, place: str, raw: Raw, faults: list[Fault], warn: Callable[[str], None]
) -> Definition:
    """The Definition of the service in the directory PLACE, whose meaningful files are RAW. What is wrong is added to FAULTS."""
    reader = _Reader(place, raw, faults)
    flags = sum(bit for file, bit in FLAGS.items() if file in raw)
    if kind_ == BUNDLE:
        if "contents.d" not in raw and "contents" not in raw:
            reader.fault("contents.d", "missing", "a directory with an entry for each member")
        return Definition(name, kind_, place, flags, contents=reader.names("contents"))
    timeouts = (reader.number("timeout-down"), reader.number("timeout-up"))
    depends = reader.names("dependencies")
    if kind_ == ONESHOT:
        if "up" not in raw:
            reader.fault(
                "up", "missing", "a oneshot needs a command line to bring it up; an empty file does nothing"
            )
        down, up, reload = (reader.script(file, name) for file in SCRIPTS)
        return Definition(name, kind_, place, flags, timeouts, depends, scripts=(down, up, reload))
    reader.knobs(warn)
    consumer, producers, pipeline = _pipeline(reader, raw, place, warn)
    return Definition(
        name,
        kind_,
        place,
        flags,
        timeouts,
        depends,
        consumer=consumer,
        producers=producers,
        pipeline=pipeline,
    )


def _pipeline(
    reader: _Reader, raw: Raw, place: str, warn: Callable[[str], None]
) -> tuple[str, tuple[str, ...], str]:
    """(whom it produces for, whom it consumes from, the pipeline's name)."""
    consumer = reader.single("producer-for", "the name of the one consumer")
    producers = reader.names("consumer-for")
    if "pipeline-name" not in raw:
        return consumer, producers, ""
    if "producer-for" in raw or not producers:
        warn(f"{place}/pipeline-name: ignored: only the last consumer of a pipeline can name it")
        return consumer, producers, ""
    return consumer, producers, reader.single("pipeline-name", "one name")


class _Reader:
    """The files of one service."""

    def __init__(self, place: str, raw: Raw, faults: list[Fault]) -> None:
        self._place = place
        self._raw = raw
        self._faults = faults

    def fault(self, file: str, what: str, right: str = "") -> None:
        self._faults.append(Fault(f"{self._place}/{file}", what, right))

    def content(self, file: str) -> bytes | None:
        found = self._raw.get(file)
        return found if isinstance(found, bytes) else None

    def names(self, file: str) -> tuple[str, ...]:
        """The names in FILE.d, or, when there is no such directory, in the lines of FILE; each once."""
        listed = self._raw.get(f"{file}.d")
        if isinstance(listed, list):
            found = [entry for entry in listed if not entry.startswith(".")]
            where = f"{file}.d"
        else:
            content = self.content(file)
            if content is None:
                return ()
            found, where = lines(content), file
        for name in found:
            if reserved(name):
                self.fault(
                    where,
                    f"the name {name} begins with a reserved prefix",
                    "a dependency on it is implied where it is due",
                )
        return tuple(dict.fromkeys(found))

    def single(self, file: str, right: str) -> str:
        """The only name in a file; "" when there is no such file."""
        if file not in self._raw:
            return ""
        found = self.names(file)
        if len(found) != 1:
            self.fault(file, f"{len(found)} names", right)
        return found[0] if len(found) == 1 else ""

    def number(self, file: str) -> int:
        """Milliseconds; 0 when there is no such file."""
        content = self.content(file)
        if content is None:
            return 0
        found = decimal(content[:63].rstrip(b"\n").partition(b"\0")[0])
        if found is None:
            self.fault(file, f"not a number: {shown(content)}", "milliseconds in decimal, 0 for no limit")
        return found or 0

    def knobs(self, warn: Callable[[str], None]) -> None:
        """Check the files that are handed on to the supervisor."""
        numbers = {}
        for file in NUMBERS:
            content = self.content(file)
            if content is None:
                continue
            found = knob(content)
            if found is None:
                self.fault(file, f"not a number: {shown(content)}", "a decimal number")
            else:
                numbers[file] = found
                if file.endswith("-fd") and found < 3:
                    warn(f"{self._place}/{file}: {found} is a standard descriptor")
        notification = numbers.get("notification-fd", 0)
        if notification >= 3 and notification == numbers.get("lock-fd"):
            self.fault("lock-fd", f"{notification} is the notification-fd as well", "two different numbers")
        for file in SIGNALS:
            content = self.content(file)
            if content is not None and signal(content) is None:
                self.fault(file, f"not a signal: {shown(content)}", "a name like SIGTERM, or a number")

    def script(self, file: str, name: str) -> Script:
        """A oneshot's command line; without a file it does nothing."""
        content = self.content(file)
        if not content:
            return Script()
        interpreter = shebang(content)
        if interpreter:
            return Script((*interpreter, f"scripts/{name}/{file}"), content)
        try:
            return Script(tuple(lex(content)))
        except BadScript as error:
            self.fault(file, str(error), "one command line of words, quoted words and blocks")
            return Script()


def lines(content: bytes) -> list[str]:
    """The names in a file: one a line; blanks before a name are skipped, blanks after it belong to it, `#` opens a comment line."""
    found = []
    for line in content.split(b"\n"):
        name = line.partition(b"\0")[0].lstrip(b" \t")
        if name and not name.startswith(b"#"):
            found.append(name.decode(errors="surrogateescape"))
    return found


def decimal(text: bytes) -> int | None:
    """A decimal number of 32 bits; None for anything else."""
    return int(text) if text.isdigit() and len(text) < 64 and int(text) < MOST else None


def knob(content: bytes) -> int | None:
    """The number in the first line of a knob."""
    return decimal(content[:11].partition(b"\n")[0].partition(b"\0")[0])


def signal(content: bytes) -> int | None:
    """The signal in the first line of a knob."""
    return signals.number(content.partition(b"\n")[0].decode(errors="replace").strip())


def shown(content: bytes) -> str:
    """The beginning of a file, for a message."""
    return repr(content[:40].decode(errors="replace"))


def shebang(content: bytes) -> tuple[str, ...]:
    """The interpreter of a script, and its argument if it has one; () for a command line, whoever is named as its launcher."""
    if not content.startswith(b"#!"):
        return ()
    line = content.partition(b"\n")[0][2:].strip().decode(errors="surrogateescape")
    interpreter, *argument = line.split(None, 1)[:2] if line else [""]
    names = [word.rpartition("/")[2] for word in line.split()[:2]]
    if (
        not interpreter
        or names[0] in LAUNCHERS
        or (names[0] == "env" and names[1:2] and names[1] in LAUNCHERS)
    ):
        return ()
    return (interpreter, *argument)
