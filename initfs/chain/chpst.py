"""chpst: change many things about this process, as runit's program does; and, called `denvdir` and so on, as its parts.

Source: `spec/chainloading.md` 3.9, runit's chpst(8). The order of the changes is fixed, whatever that of the options is:
session, envdir, root, directory, priority, -U, -u, lock, descriptors, limits.
"""

from __future__ import annotations

import fcntl
import os

from initfs import options, say
from initfs.chain import descriptors, envdir, identity, limits, pgrphack
from initfs.chain import next as chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

USAGE = (
    "chpst [-vVP012] [-u user] [-U user] [-b argv0] [-e dir] [-/ root] [-C dir] [-n inc] [-l file | -L file] "
    "[-m bytes] [-d bytes] [-o files] [-p processes] [-f bytes] [-c bytes] [-r bytes] [-t seconds] prog..."
)
LIMITS = "mdopfcrt"
LETTERS = "vVP012u:U:b:e:/:C:n:l:L:" + "".join(f"{letter}:" for letter in LIMITS)

VERSION = "chpst of initfs"

# What it does under these names: the option of its own that takes the first word.
NAMES: dict[str, str] = {"envuidgid": "U", "setuidgid": "u"}
ALONE: dict[str, str] = {
    "envdir": "denvdir dir prog...",
    "envuidgid": "denvuidgid user prog...",
    "setuidgid": "dsetuidgid user prog...",
    "pgrphack": "dpgrphack prog...",
    "setlock": "dsetlock [-nNxX] file prog...",
    "softlimit": "dsoftlimit [-a bytes] [-c bytes] [-d bytes] [-f bytes] [-l bytes] [-m bytes] [-o files] [-p processes] "
    "[-r bytes] [-s bytes] [-t seconds] prog...",
}


def main(argv: list[str]) -> int:
    name = argv[0].removeprefix("d")
    if name in ALONE:
        return emulate(name, argv[1:])
    found, rest = options.parse(argv[1:], LETTERS, USAGE)
    given = dict(found)
    if "V" in given:
        say.info(VERSION)
        return say.OK
    if not rest or given.keys() >= {"l", "L"} or given.get("b") == "":
        raise say.usage(USAGE)
    wanted = {letter: limits.amount(given[letter], USAGE) for letter in LIMITS if letter in given}
    nice = increment(given.get("n", "0"))
    change(given, nice)
    for letter, number in wanted.items():
        limits.limit(letter, number)
    if "b" in given or "/" in given:  # another name, or another root: not this interpreter's business
        raise failed(chain.execute(rest[0], [given.get("b", rest[0]), *rest[1:]]))
    return _run(rest, USAGE)


def change(given: Mapping[str, str], nice: int) -> None:
    """Make the changes that options ask for, but for the limits, in the order that the specification gives."""
    _surroundings(given)
    if nice:
        _tried("set the priority", lambda: os.nice(nice))
    if "U" in given:
        uid, gids = ids(given["U"])
        identity.export(uid, gids[0])
    if "u" in given:
        uid, gids = ids(given["u"])
        identity.become(uid, gids[0], gids)
    for letter in "lL":
        if letter in given:
            lock(given[letter], wait=letter == "l")
    for letter in "012":
        if letter in given:
            descriptors.close(int(letter))


def _surroundings(given: Mapping[str, str]) -> None:
    if "P" in given:
        pgrphack.new_session()
    if "e" in given:
        _environment(given["e"], directories=True)
    if "/" in given:
        _tried(f"change to {given['/']}", lambda: os.chdir(given["/"]))
        _tried(f"make {given['/']} the root", lambda: os.chroot("."))
    if "C" in given:
        _tried(f"change to {given['C']}", lambda: os.chdir(given["C"]))


def ids(text: str) -> tuple[int, tuple[int, ...]]:
    """(uid, gids) of `user`, `user:group:group...` or, with a colon before it, of the same in numbers."""
    literal = text.startswith(":")
    user, *groups = text.removeprefix(":").split(":")
    number = identity.number(user)
    known = (number, number) if literal else identity.user(user)
    gids = tuple((identity.number if literal else identity.group)(name) for name in groups)
    if known is None or known[0] is None or None in gids:
        raise say.Fatal(say.TEMPORARY, f"unknown user or group: {text}")
    return known[0], tuple(gid for gid in gids or known[1:] if gid is not None)


def increment(text: str) -> int:
    """A number with a sign, or wrong usage."""
    sign = -1 if text.startswith("-") else 1
    return sign * options.number(text[text[:1] in ("-", "+") :], USAGE)


def lock(path: str, *, wait: bool) -> None:
    """Lock PATH with flock(2), as runit's program does: the two must exclude each other. Raises Fatal 111."""

    def take() -> None:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CREAT, 0o600)
        os.set_inheritable(fd, True)
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    _tried(f"lock {path}", take)


def emulate(name: str, arguments: list[str]) -> int:
    """Be one of the programs that runit's chpst is under other names; their differences from ours are in 3.1 to 3.4."""
    usage_line = ALONE[name]
    letters = {
        "setlock": "nNxX",
        "softlimit": "".join(f"{letter}:" for letter in limits.NAMES if letter != "P"),
    }
    found, rest = options.parse(arguments, letters.get(name, ""), usage_line)
    if len(rest) < (1 if name in ("pgrphack", "softlimit") else 2):
        raise say.usage(usage_line)
    if name == "softlimit":
        for letter, number in [(letter, limits.amount(text, usage_line)) for letter, text in found]:
            limits.limit(letter, number)
    elif name == "pgrphack":
        pgrphack.new_session()
    elif name == "setlock":
        return _setlock([letter for letter, _ in found], rest)
    elif name == "envdir":
        _environment(rest.pop(0), directories=False)
    else:
        change({NAMES[name]: rest.pop(0)}, 0)
    return _run(rest, usage_line)


def _setlock(letters: list[str], rest: list[str]) -> int:
    patient = [letter for letter in letters if letter in "nN"][-1:] != ["n"]
    silent = [letter for letter in letters if letter in "xX"][-1:] == ["x"]
    try:
        lock(rest[0], wait=patient)
        if not chain.ours(rest[1:]):
            raise failed(chain.execute(rest[1], rest[1:]))
    except say.Fatal:
        if silent:
            return say.OK
        raise
    return chain.run(rest[1:], ALONE["setlock"])


def failed(fatal: say.Fatal) -> say.Fatal:
    """That the next program cannot be run is 111 here, whatever the reason."""
    return say.Fatal(say.TEMPORARY, str(fatal))


def _run(rest: list[str], usage_line: str) -> int:
    if not rest or chain.ours(rest):
        return chain.run(rest, usage_line)
    raise failed(chain.execute(rest[0], rest))


def _environment(directory: str, *, directories: bool) -> None:
    try:
        found = envdir.contents(directory, None, directories=directories)
    except OSError as error:
        raise say.unable(f"read {error.filename or directory}", error) from None
    envdir.change({name: envdir.value(content, blanks=b" \t") for name, content in found.items()})


def _tried(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except OSError as error:
        raise say.unable(what, error) from None
