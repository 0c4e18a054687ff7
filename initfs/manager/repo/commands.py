"""What the programs of a repository share: their options -v and -r, and services by name."""

from __future__ import annotations

from initfs import options, say
from initfs.manager import database, query
from initfs.manager.repo import sets
from initfs.manager.repo.repository import DEFAULT, Repository

VERBOSITY = {"verbosity": "v", "repository": "r"}


class Asked:
    """A command line."""

    def __init__(
        self, argv: list[str], letters: str, usage_line: str, long: dict[str, str], least: int = 0
    ) -> None:
        """LETTERS beside v: and r:. At least LEAST words have to follow."""
        given, self.rest = options.parse(argv[1:], f"v:r:{letters}", usage_line, VERBOSITY | long)
        if len(self.rest) < least:
            raise say.usage(usage_line)
        self.letters = [letter for letter, _ in given]
        self.found = dict(given)
        self.verbosity = options.number(self.found.get("v", "1"), usage_line)
        self.path = self.found.get("r", DEFAULT)

    def has(self, letter: str) -> bool:
        return letter in self.found

    def last(self, letters: str) -> str:
        """The last given of LETTERS, "" for none."""
        return next((letter for letter in reversed(self.letters) if letter in letters), "")

    def repository(self, *, write: bool = True) -> Repository:
        return Repository(self.path, write=write)


def resolved(index: query.Index, names: list[str]) -> set[int]:
    """The services that these names stand for. say.Fatal 3."""
    try:
        return index.union(names) & set(sets.services(index))
    except query.Unknown as error:
        raise say.Fatal(database.UNKNOWN, f"{error} is no service of the stores") from None


def check_name(name: str) -> None:
    """say.Fatal 100 for a name that no set can have."""
    if not name or name.startswith(".") or "/" in name or "\n" in name:
        raise say.Fatal(say.USAGE, f"a set can't be called {name!r}")
