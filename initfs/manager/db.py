"""rc-db: ask a compiled database. Source: `spec/service-manager.md` 6.5."""

from __future__ import annotations

import os

from initfs import options, say
from initfs.manager import codec, database, graph, live, locks, query
from initfs.manager.model import DOWN, LONGRUN, ONESHOT, RELOAD, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

USAGE = "rc-db [-u|-d|-r] [-l live] [-c compiled] [-b] [-E|-e] command... (rc-db help tells more)"
LONG = {
    "up": "u",
    "down": "d",
    "reload": "r",
    "livedir": "l",
    "compiled": "c",
    "block": "b",
    "with-essentials": "E",
    "without-essentials": "e",
}
HELP = """rc-db help
rc-db check
rc-db [-e] list all|services|oneshots|longruns|bundles
rc-db type name
rc-db [-u|-d] timeout atomic
rc-db [-e] contents bundle
rc-db [-u|-d] [-e] dependencies name...
rc-db pipeline longrun
rc-db [-u|-d|-r] script oneshot
rc-db flags atomic
rc-db [-e] atomics name...
rc-db [-u|-d] [-e] all-dependencies name...
rc-db dump --json
"""
LISTS = ("all", "services", "oneshots", "longruns", "bundles")


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "udrl:c:bEe", USAGE, LONG)
    if not rest:
        raise say.usage(USAGE)
    command, *names = rest
    if command == "help":
        os.write(1, HELP.encode())
        return say.OK
    if command not in COMMANDS:
        raise say.Fatal(say.USAGE, f"unknown command: {command}; rc-db help lists them")
    if not names and command != "check":
        raise say.usage(USAGE)
    if (command == "list" and names[0] not in LISTS) or (command == "dump" and names != ["--json"]):
        raise say.Fatal(say.USAGE, f"{command} what? {names[0]!r} is none of {' '.join(LISTS)} or --json")
    found = dict(given)
    compiled = found.get("c") or f"{found.get('l', live.LIVE)}/compiled"
    locks.take(compiled, locks.SHARED, block="b" in found)
    asked = Asked(compiled, query.Index(database.load(compiled)), given)
    return answer(asked, command, names)


def answer(asked: Asked, command: str, names: list[str]) -> int:
    """Print the answer. say.Fatal: 3 unknown name, 5 another type of service."""
    try:
        text = COMMANDS[command](asked, names)
    except query.Unknown as error:
        raise say.Fatal(database.UNKNOWN, f"{error} is not a name in {asked.compiled}") from None
    except query.WrongType as error:
        raise say.Fatal(database.WRONG_TYPE, f"in the database {asked.compiled}: {error}") from None
    for piece in [text] if isinstance(text, str) else text:
        write(os.fsencode(piece))
    return say.OK


def write(content: bytes) -> None:
    """All of it to standard output. say.Fatal 111."""
    try:
        while content:
            content = content[os.write(1, content) :]
    except OSError as error:
        raise say.unable("write to standard output", error) from error


class Asked:
    """A database, and the options of the question."""

    def __init__(self, compiled: str, index: query.Index, given: list[tuple[str, str]]) -> None:
        self.compiled = compiled
        self.index = index
        letters = [letter for letter, _ in given]
        self.which = UP
        for letter in letters:
            self.which = {"u": UP, "d": DOWN, "r": RELOAD}.get(letter, self.which)
        self.down = self.which == DOWN
        self.hide = [letter for letter in letters if letter in "Ee"][-1:] == ["e"]

    def lines(self, numbers: Iterable[int]) -> str:
        """The names of services, one a line, without the essential ones if they are not wanted."""
        index = self.index
        shown = (number for number in numbers if not (self.hide and index.essential(number)))
        return "".join(f"{index.database.names[number]}\n" for number in shown)

    def sorted_lines(self, numbers: set[int]) -> str:
        return self.lines(sorted(numbers, reverse=True))


def _check(asked: Asked, _: list[str]) -> str:
    found = codec.problems(asked.index.database)
    made = asked.index.database
    for name in [] if found else made.names[: made.longruns]:
        if not os.path.isfile(f"{asked.compiled}/servicedirs/{name}/run"):
            found.append(f"the service directory of {name} has no run")
    for text in found:
        say.line("error", text)
    if found:
        raise say.Fatal(database.INVALID, f"invalid service database in {asked.compiled}")
    return ""


def _list(asked: Asked, names: list[str]) -> str:
    index = asked.index
    found = index.listing(names[0])
    if asked.hide and names[0] not in ("all", "bundles"):
        found = [name for name in found if not index.essential(index.number[name])]
    return "".join(f"{name}\n" for name in found)


def _timeout(asked: Asked, names: list[str]) -> str:
    index = asked.index
    return f"{index.database.timeouts[index.atomic(names[0], LONGRUN, ONESHOT)][int(not asked.down)]}\n"


def _pipeline(asked: Asked, names: list[str]) -> str:
    every = asked.index.database.names
    pairs = asked.index.pipeline(names[0])
    return "".join(f"{every[one]}/{every[other]}\n" for one, other in pairs) or f"{names[0]}\n"


def _script(asked: Asked, names: list[str]) -> str:
    made = asked.index.database
    number = asked.index.atomic(names[0], ONESHOT)
    return "".join(f"{word}\0" for word in made.scripts[number - made.longruns][asked.which])


def _flags(asked: Asked, names: list[str]) -> str:
    return f"{asked.index.database.flags[asked.index.atomic(names[0], LONGRUN, ONESHOT)]:08x}\n"


def _all_dependencies(asked: Asked, names: list[str]) -> str:
    index = asked.index
    return asked.sorted_lines(graph.closure(index.edges(down=asked.down), index.union(names)))


def _dump(asked: Asked, _: list[str]) -> Iterable[str]:
    """One JSON object, a service a line."""
    import json

    made = asked.index.database
    yield f'{{"format": {codec.VERSION}, "services": [\n'
    for number in range(len(made)):
        comma = "," if number + 1 < len(made) else ""
        yield json.dumps(query.described(asked.index, number)) + f"{comma}\n"
    bundles = {name: [made.names[number] for number in members] for name, members in made.bundles}
    yield f'], "bundles": {json.dumps(bundles)}}}\n'


COMMANDS: dict[str, Callable[[Asked, list[str]], str | Iterable[str]]] = {
    "check": _check,
    "list": _list,
    "type": lambda asked, names: f"{asked.index.kind(names[0])}\n",
    "timeout": _timeout,
    "contents": lambda asked, names: asked.lines(asked.index.contents(names[0])),
    "dependencies": lambda asked, names: asked.sorted_lines(asked.index.neighbours(names, down=asked.down)),
    "pipeline": _pipeline,
    "script": _script,
    "flags": _flags,
    "atomics": lambda asked, names: asked.sorted_lines(asked.index.union(names)),
    "all-dependencies": _all_dependencies,
    "dump": _dump,
}
