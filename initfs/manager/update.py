"""rc-update: go over to another database while services run. Source: `spec/service-manager.md` 6.8."""

from __future__ import annotations

import os

from initfs import files, loop, options, say
from initfs.manager import conversion, database, engine, graph, holding, live, locks, plan
from initfs.manager.db import write
from initfs.manager.model import FDHOLDER
from initfs.manager.query import Index
from initfs.manager.switch import PENDING, Switch, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.conversion import Conversion

USAGE = "rc-update [-n] [-v n] [-t ms] [-l live] [-f conversion] [-b] [-E|-e] [--json] newdb"
LONG = {
    "dry-run": "n",
    "verbosity": "v",
    "timeout": "t",
    "livedir": "l",
    "conversion-file": "f",
    "block": "b",
    "no-force-essentials": "E",
    "force-essentials": "e",
    "json": "J",
}
NOTHING_SWITCHED = 8  # added to the exit code of the way down
MOST = 1 << 20  # bytes of a conversion file


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "nv:t:l:f:bEeJ", USAGE, LONG)
    found = dict(given)
    if len(rest) != 1:
        raise say.usage(USAGE)
    milliseconds = options.number(found.get("t", "0"), USAGE)
    force = [letter for letter, _ in given if letter in "Ee"][-1:] == ["e"]
    update = Update(
        found.get("l", live.LIVE),
        rest[0],
        instructions(found.get("f", "")),
        force=force,
        block="b" in found,
        verbosity=options.number(found.get("v", "1"), USAGE),
        deadline=loop.now() + milliseconds / 1000 if milliseconds else loop.NEVER,
        dry="n" in found,
    )
    return update.preview(as_json="J" in found) if "n" in found else update.run()


def instructions(path: str) -> list[conversion.Instruction]:
    """The conversion file at PATH, if one is given. say.Fatal 100, 6, 111."""
    if not path:
        return []
    try:
        content = files.read(path, size=MOST)
    except OSError as error:
        raise say.unable(f"read {path}", error) from error
    if content is None:
        raise say.Fatal(say.TEMPORARY, f"unable to read {path}: there is no such file")
    try:
        return conversion.instructions(content)
    except conversion.Refused as refused:
        raise say.Fatal(refused.code, str(refused)) from None


class Update:
    """An update that is decided, but not begun."""

    def __init__(
        self,
        path: str,
        compiled: str,
        given: list[conversion.Instruction],
        *,
        force: bool,
        block: bool,
        verbosity: int,
        deadline: float,
        dry: bool = False,
    ) -> None:
        """say.Fatal with the code that the specification names for what is wrong."""
        for what, name in (("live", path), ("newdb", compiled)):
            if not name.startswith("/"):
                raise say.Fatal(say.USAGE, f"{what} must be an absolute path: {name}")
        self._live = live.Live(path, lock=locks.SHARED if dry else locks.EXCLUSIVE, block=block)
        self._compiled, self._verbosity, self._deadline = compiled, verbosity, deadline
        locks.take(compiled, locks.SHARED, block=block)
        self._new = Index(database.load(compiled))
        self._force = force
        try:
            self._conversion = conversion.convert(
                self._live.index, self._new, self._live.up(), given, force=force
            )
        except conversion.Refused as refused:
            raise say.Fatal(refused.code, str(refused)) from None
        self._start_numbers = set(self._conversion.start) | self._left()

    def _left(self) -> set[int]:
        """What an update that was killed has stopped and not started again, as far as it is still there."""
        content = files.read(f"{self._live.path}/{PENDING}", size=MOST) or b""
        names = [name for name in os.fsdecode(content).split("\n") if name in self._new.number]
        return self._new.union(names) - {number for number, _ in self._conversion.kept}

    def preview(self, *, as_json: bool) -> int:
        """Print what would stop, why, what goes on and what would start."""
        told = self._told(self._conversion)
        if as_json:
            import json

            write(json.dumps(told).encode() + b"\n")
            return say.OK
        lines = [f"rc-dryrun: stop {name} # {why}\n" for name, why in told["stop"]]
        lines += [f"rc-dryrun: start {name}\n" for name in told["start"]]
        if self._verbosity >= 2:
            lines += [
                f"rc-dryrun: keep {name} # with its new files at the next start\n" for name in told["changed"]
            ]
        write(os.fsencode("".join(lines)))
        return say.OK

    def _told(self, made: Conversion) -> dict[str, list]:  # type: ignore[type-arg]
        """What an update does, in an order in which it can be done."""
        old, new = self._live.index, self._new
        why = dict(zip(made.stop, made.reasons, strict=True))
        down = plan.rounds(old, [self._down()], self._live.up(), frozenset())
        after = {number for number, _ in made.kept}
        up = plan.rounds(
            new, plan.phases(new, self._start_numbers, down=False, prune=False), after, frozenset()
        )
        return {
            "stop": [[old.database.names[one], why[one]] for row in down for _, one in row],
            "start": [new.database.names[one] for row in up for _, one in row],
            "keep": [new.database.names[number] for number, _ in made.kept],
            "changed": self._changed(made),
            "spared": [old.database.names[number] for number in made.spared],
        }

    def _changed(self, made: Conversion) -> list[str]:
        """Longruns that go on, but would be other ones if they were started now."""
        found = []
        for number, before in made.kept:
            name, former = self._new.database.names[number], self._live.index.database.names[before]
            pair = (f"{self._compiled}/servicedirs/{name}", f"{self._live.compiled}/servicedirs/{former}")
            if number < self._new.database.longruns and not same(*pair):
                found.append(name)
        return found

    def run(self) -> int:
        """Do it; the exit code."""
        made = self._conversion
        for number in made.spared if self._verbosity else ():
            say.warning(
                f"{self._live.index.database.names[number]}: is essential, goes on as it is; -e would stop it"
            )
        for number, why in zip(made.stop, made.reasons, strict=True) if self._verbosity >= 2 else ():
            say.info(f"{self._live.index.database.names[number]}: has to stop: {why}")
        self._note()
        code = self._stop(made)
        if code:
            self._forget()
            return code
        switch = Switch(self._live, self._new, self._compiled, made)
        switch.take()
        switch.commit()
        try:
            changed = switch.finish(self._deadline)
            for name in changed if self._verbosity >= 2 else ():
                say.info(f"{name}: goes on; its new files count at its next start")
            self._update_pipes(made)
        except say.Fatal as fatal:
            code = engine.TIMED_OUT if fatal.code == say.TIMED_OUT else fatal.code
            raise say.Fatal(code, f"{fatal}; the new database is the live one") from fatal
        return self._start()

    def _note(self) -> None:
        """Write down what is to be started, so that whoever updates after us, if we are killed, knows it. say.Fatal 111."""
        text = "".join(f"{self._new.database.names[number]}\n" for number in sorted(self._start_numbers))
        try:
            files.write(f"{self._live.path}/{PENDING}", os.fsencode(text))
        except OSError as error:
            raise say.unable(f"write {self._live.path}/{PENDING}", error) from error

    def _forget(self) -> None:
        files.tried("forget what is done", lambda: files.remove(f"{self._live.path}/{PENDING}"))

    def _down(self) -> plan.Phase:
        """What has to stop; what needs any of that is down, or has to stop as well."""
        return plan.Phase(False, frozenset(graph.closure(self._live.index.dependents, self._conversion.stop)))

    def _stop(self, made: Conversion) -> int:
        if not made.stop:
            return say.OK
        code = engine.change(
            self._live, [self._down()], set(), deadline=self._deadline, verbosity=self._verbosity
        )
        if code:
            say.fatal("unable to stop what has to stop: nothing is switched")
            return code + NOTHING_SWITCHED
        return say.OK

    def _update_pipes(self, made: Conversion) -> None:
        kept = dict(made.kept)
        if self._new.number[FDHOLDER] not in kept:
            return
        consumers = [number for number, _ in self._new.database.pipes]
        old = {number for number, _ in self._live.index.database.pipes}
        names, before = self._new.database.names, self._live.index.database.names
        renamed = {
            names[number]: before[kept[number]]
            for number in consumers
            if number in kept and kept[number] in old and names[number] != before[kept[number]]
        }
        try:
            holding.update(self._live.path, {names[number] for number in consumers}, renamed, self._deadline)
        except OSError:
            holding.restart(self._live.path, self._deadline)

    def _start(self) -> int:
        there = live.Live(self._live.path, lock=locks.EXCLUSIVE)
        phases = plan.phases(there.index, self._start_numbers, down=False, prune=False)
        code = engine.change(there, phases, set(), deadline=self._deadline, verbosity=self._verbosity)
        self._forget()
        return code
