"""rc: the live state: list it, change it. Source: `spec/service-manager.md` 6.7."""

from __future__ import annotations

import os

from initfs import loop, options, say
from initfs.manager import graph, live, locks, plan
from initfs.manager.db import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

USAGE = "rc [-l live] [-b] [-v n] [-n ms] [-t ms] [-a] [-u|-d|-D] [-p] [-E|-e] [--json] command name... (rc help tells more)"
LONG = {
    "livedir": "l",
    "block": "b",
    "verbosity": "v",
    "dry-run": "n",
    "timeout": "t",
    "add": "a",
    "up": "u",
    "down": "d",
    "all-down": "D",
    "prune": "p",
    "with-essentials": "E",
    "without-essentials": "e",
    "no-lock": "N",
    "json": "J",
    "svg": "S",
}
HELP = """rc help
rc [-a] [-d] [-e] list name...          the selection; -d: all but the selection
rc [-a] [-u|-d] [-e] listall name...    and what it needs; -d: and what needs it
rc diff                                 longruns whose supervisor disagrees
rc [-u|-d|-D] [-a] [-p] [-t ms] [-n ms] [-v n] change name...
rc start name... | rc stop name... | rc reload name...
rc [--svg] graph name...                a picture of the dependencies, for dot(1)
-a adds all that is up to the selection.
"""
LOCKS = {"list": 1, "listall": 1, "diff": 1, "graph": 1, "start": 2, "stop": 2, "reload": 2, "change": 2}


class Asked:
    """The command line."""

    def __init__(self, argv: list[str]) -> None:
        given, rest = options.parse(argv[1:], "l:bv:n:t:auDdpEeNJS", USAGE, LONG)
        if not rest:
            raise say.usage(USAGE)
        self.command, *self.names = rest
        if self.command != "help" and self.command not in LOCKS:
            raise say.Fatal(say.USAGE, f"unknown command: {self.command}; rc help lists them")
        found = dict(given)
        letters = [letter for letter, _ in given]
        direction = [letter for letter in letters if letter in "udD"][-1:] or ["u"]
        if self.command in ("start", "stop"):
            direction = [{"start": "u", "stop": direction[0] if direction[0] == "D" else "d"}[self.command]]
        self.down = direction[0] in "dD"
        self.force = direction[0] == "D"
        self.prune = "p" in found and self.command == "change"
        self.hide = [letter for letter in letters if letter in "Ee"][-1:] == ["e"]
        self.add, self.block, self.json, self.svg = ("a" in found, "b" in found, "J" in found, "S" in found)
        self.lock = locks.NONE if "N" in found else LOCKS.get(self.command, 0)
        self.path = found.get("l", live.LIVE)
        self.verbosity = options.number(found.get("v", "1"), USAGE)
        self.dry = options.number(found["n"], USAGE) if "n" in found else None
        milliseconds = options.number(found.get("t", "0"), USAGE)
        self.deadline = loop.now() + milliseconds / 1000 if milliseconds else loop.NEVER


def main(argv: list[str]) -> int:
    asked = Asked(argv)
    if asked.command == "help":
        os.write(1, HELP.encode())
        return say.OK
    dry = asked.dry is not None and asked.lock == locks.EXCLUSIVE
    there = live.Live(asked.path, lock=locks.SHARED if dry else asked.lock, block=asked.block)
    if asked.command == "diff":
        from initfs.manager import differ

        return differ.diff(there)
    named = live.resolve(there, asked.names)
    selection = named | there.up() if asked.add else named
    match asked.command:
        case "list":
            return _list(asked, there, set(range(len(there.state))) - selection if asked.down else selection)
        case "listall":
            return _list(asked, there, graph.closure(there.index.edges(down=asked.down), selection))
        case "graph":
            from initfs.manager import picture

            return picture.main(there, selection, svg=asked.svg)
        case "reload":
            from initfs.manager import reload

            return reload.reload(there, named, deadline=asked.deadline, verbosity=asked.verbosity)
    return _change(asked, there, named, selection)


def _list(asked: Asked, there: live.Live, numbers: Iterable[int]) -> int:
    shown = [number for number in sorted(numbers) if not (asked.hide and there.index.essential(number))]
    write(os.fsencode("".join(f"{there.index.database.names[number]}\n" for number in shown)))
    return say.OK


def _change(asked: Asked, there: live.Live, named: set[int], selection: set[int]) -> int:
    phases = plan.phases(there.index, selection, down=asked.down, prune=asked.prune)
    kept = {number for number in range(len(there.state)) if there.index.essential(number) and not asked.force}
    if asked.dry is not None:
        from initfs.manager import preview

        return preview.preview(
            there, phases, kept, throttle=asked.dry, as_json=asked.json, verbosity=asked.verbosity
        )
    from initfs.manager import engine

    state, bit = there.state, plan.EXPLICIT
    wanted = {number: state[number] & ~bit if asked.down else state[number] | bit for number in named}
    there.set_all({number: byte for number, byte in wanted.items() if byte != state[number]})
    return engine.change(there, phases, kept, deadline=asked.deadline, verbosity=asked.verbosity)
