"""The values of the service manager: a service as its source says it, a compiled database, what is wrong with either.

Names, numbers and order are those of the s6-rc source format: longruns before oneshots, in the order of the source directories and
sorted by name within each; the two internal longruns are always there, as numbers 0 and 1.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

ONESHOT, LONGRUN, BUNDLE = "oneshot", "longrun", "bundle"
RUNNER, FDHOLDER = "s6rc-oneshot-runner", "s6rc-fdholder"
INTERNAL = (RUNNER, FDHOLDER)
RESERVED = ("s6rc-", "s6-rc-")  # prefixes that are ours
ESSENTIAL, RECOMMENDED = 1, 2  # bits of a service's flags
DOWN, UP, RELOAD = 0, 1, 2  # a service's scripts and time-outs, in this order
READING, WRITING = (
    "pipe:s6rc-r-",
    "pipe:s6rc-w-",
)  # what the descriptor holder calls the ends of a consumer's pipe

_VISIBLE = {number: f"\\x{number:02x}" for number in (*range(32), 127)} | {
    9: "\\t",
    10: "\\n",
}  # one line for each fault


@value
class Fault:
    """Something wrong in a source: in which file, what it is, and what would be right."""

    place: str
    what: str
    right: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.what}" + (f"; {self.right}" if self.right else "")
        return text.translate(_VISIBLE)


@value
class Script:
    """A command line. `text` is set for a script with an interpreter of its own: then the last word is its place in the database."""

    words: tuple[str, ...] = ()
    text: bytes = b""


@value
class Definition:
    """One service as its directory says."""

    name: str
    kind: str
    place: str  # the directory
    flags: int = 0
    timeouts: tuple[int, int] = (0, 0)  # milliseconds: down, up; 0 is none
    depends: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()  # of a bundle
    scripts: tuple[Script, Script, Script] = (Script(), Script(), Script())  # of a oneshot: down, up, reload
    consumer: str = ""  # of a longrun: whom it writes to
    producers: tuple[str, ...] = ()  # and whom it reads from
    pipeline: str = ""  # the bundle's name


if TYPE_CHECKING:
    Numbers: TypeAlias = tuple[int, ...]
    Words: TypeAlias = tuple[str, ...]


@value
class Database:
    """A compiled database. A service is its number: the position in `names`, `flags`, `timeouts` and `depends`."""

    longruns: int  # how many: their numbers come first
    names: tuple[str, ...]
    flags: Numbers
    timeouts: tuple[tuple[int, int], ...]  # milliseconds: down, up
    depends: tuple[Numbers, ...]  # direct dependencies, sorted
    scripts: tuple[tuple[Words, Words, Words], ...]  # of the oneshots: down, up, reload
    interpreted: tuple[Numbers, ...]  # of the oneshots: which of those end in a path below the database
    pipes: tuple[tuple[int, Numbers], ...]  # (consumer, its producers), by consumer
    bundles: tuple[tuple[str, Numbers], ...]  # (name, members), in order of definition
    user: str = ""  # whom the descriptor holder runs as

    def __len__(self) -> int:
        return len(self.names)
