"""From one database to another while services are up: what has to stop, what goes on under which number, what is then to be started. Pure.

A service is the same when it has the same name, or the name that the conversion file gives it. It goes on, even if its script changed,
unless one of these is true: it is not there any more; it became something else; the file says so; it needs something that has to stop, or
something that is not up. The last rule looks at the new dependencies, the one before at the old ones, so they are applied in turns until nothing changes.

Source: `spec/service-manager.md` 6.8.
"""

from __future__ import annotations

from initfs.chain.words import BadScript, lex
from initfs.manager import graph
from initfs.manager.model import BUNDLE
from initfs.manager.query import Unknown
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from initfs.manager.query import Index

UNKNOWN, WRONG_TYPE, DUPLICATE, USAGE = 3, 5, 6, 100  # exit codes


class Refused(Exception):
    """The conversion cannot be made; `code` is the exit code that says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@value
class Instruction:
    """A line of a conversion file."""

    old: str
    new: str = ""  # another name
    restart: bool = False


@value
class Conversion:
    """What an update does. Numbers are of the old or of the new database, as it says."""

    stop: tuple[int, ...]  # old
    reasons: tuple[str, ...]  # why, for each of those
    kept: tuple[tuple[int, int], ...]  # (new, old): what is up and goes on
    start: tuple[int, ...]  # new: what was up, and is to be up again
    spared: tuple[int, ...] = ()  # old: what should stop, but is essential, or needed by what is


def instructions(text: bytes) -> list[Instruction]:
    """The lines of a conversion file: `OLD [-> NEW] [restart]`. Refused 100, or 6 when a service is named twice."""
    found: dict[str, Instruction] = {}
    for count, line in enumerate(text.split(b"\n"), 1):
        try:
            words = lex(line)
        except BadScript as error:
            raise Refused(USAGE, f"conversion file, line {count}: {error}") from None
        if not words:
            continue
        old, rest = words[0], words[1:]
        new = ""
        if rest[:1] == ["->"] and len(rest) > 1:
            new, rest = rest[1], rest[2:]
        if any(word != "restart" for word in rest):
            raise Refused(USAGE, f"conversion file, line {count}: not `OLD [-> NEW] [restart]`")
        if old in found:
            raise Refused(DUPLICATE, f"conversion file, line {count}: {old} is there already")
        found[old] = Instruction(old, new, bool(rest))
    return list(found.values())


def convert(
    old: Index, new: Index, up: AbstractSet[int], given: Iterable[Instruction] = (), *, force: bool = True
) -> Conversion:
    """The Conversion of what is UP in the OLD database. FORCE: essential services are stopped too, if they have to be. Refused."""
    return _Converting(old, new, up, given).convert(force=force)


class _Converting:
    def __init__(self, old: Index, new: Index, up: AbstractSet[int], given: Iterable[Instruction]) -> None:
        self.old, self.new, self.up = old, new, up
        by_number = {self._number(one.old): one for one in given}
        self.why: dict[int, str] = {
            number: "the conversion file says so"
            for number, one in by_number.items()
            if one.restart and number in up
        }
        self.same: dict[int, int] = {}  # old: new, where a service remains one
        self.members: dict[int, tuple[int, ...]] = {}  # old: new, where it became a bundle
        self._names: dict[int, str] = {number: one.new for number, one in by_number.items() if one.new}
        for number in range(len(old.database)):
            self._find(number)

    def _number(self, name: str) -> int:
        try:
            if self.old.kind(name) == BUNDLE:
                raise Refused(
                    WRONG_TYPE, f"{name} is a bundle in the live database: only services are converted"
                )
        except Unknown:
            raise Refused(UNKNOWN, f"{name} is no service in the live database") from None
        return self.old.number[name]

    def _find(self, number: int) -> None:
        """Note what a service of the old database is in the new one."""
        before = self.old.database.names[number]
        name = self._names.get(number, before)
        try:
            kind = self.new.kind(name)
        except Unknown:
            if number in self._names:
                raise Refused(
                    UNKNOWN, f"{name}, the new name of {before}, is not in the new database"
                ) from None
            if number in self.up:
                self.why[number] = "it is not there any more"
            return
        if kind == BUNDLE:
            self.members[number] = self.new.bundles[name]
        else:
            self.same[number] = self.new.number[name]
        if number in self.up and kind != self.old.kind(before):
            self.why[number] = f"it was a {self.old.kind(before)} and is a {kind}"

    def convert(self, *, force: bool) -> Conversion:
        origin = self._origin()
        while True:
            down = self._closed()
            spared = set() if force else self._spared(down)
            kept = {self.same[number]: number for number in self.up - down | spared if number in self.same}
            missing = self._missing(kept, origin, spared)
            if not missing:
                break
            self.why.update(missing)
        if lost := [number for number in spared if not self._lasts(number)]:
            names = " ".join(self.old.database.names[number] for number in sorted(lost))
            raise Refused(9, f"essential services would have to be stopped; -e does: {names}")
        stop = sorted(down - spared)
        start = {
            other for number in stop for other in (*self.members.get(number, ()), self.same.get(number, -1))
        }
        needs = graph.closure(self.new.database.depends, [self.same[number] for number in spared])
        start |= needs if spared else set()
        return Conversion(
            tuple(stop),
            tuple(self.why[number] for number in stop),
            tuple(sorted(kept.items())),
            tuple(sorted(start - kept.keys() - {-1})),
            tuple(sorted(spared)),
        )

    def _origin(self) -> dict[int, int]:
        """{new: old}. Refused 6 when two services become one."""
        found: dict[int, int] = {}
        for number, other in self.same.items():
            if other in found:
                names = self.old.database.names
                raise Refused(
                    DUPLICATE,
                    f"both {names[found[other]]} and {names[number]} become {self.new.database.names[other]}",
                )
            found[other] = number
        return found

    def _closed(self) -> set[int]:
        """What has to stop: what has a reason, and whatever needs it."""
        pending = [number for number in self.why if number in self.up]
        down = set(pending)
        while pending:
            number = pending.pop()
            for other in self.old.dependents[number]:
                if other in self.up and other not in down:
                    self.why.setdefault(other, f"it needs {self.old.database.names[number]}, which stops")
                    down.add(other)
                    pending.append(other)
        return down

    def _spared(self, down: set[int]) -> set[int]:
        """Of what should stop, the essential services and what they need."""
        essential = [number for number in down if self.old.essential(number)]
        return graph.closure(self.old.database.depends, essential) & down

    def _lasts(self, number: int) -> bool:
        """Whether a service can go on as what it is."""
        now = self.same.get(number)
        return now is not None and (now < self.new.database.longruns) == (number < self.old.database.longruns)

    def _missing(
        self, kept: Mapping[int, int], origin: Mapping[int, int], spared: set[int]
    ) -> dict[int, str]:
        """Reasons for those that would go on though something that they need in the new database is not up."""
        found: dict[int, str] = {}
        for number in graph.order(self.new.database.depends)[0]:
            if number not in kept or kept[number] in spared:
                continue
            for other in self.new.database.depends[number]:
                if other not in kept:
                    name = self.new.database.names[other]
                    found[origin[number]] = (
                        f"it needs {name} now, which {'stops' if other in origin else 'is new'}"
                    )
        return {number: why for number, why in found.items() if number not in self.why}
