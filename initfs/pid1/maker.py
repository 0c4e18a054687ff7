"""init-maker: write the tree that a machine, or a container, boots with.

Source: `spec/init.md` 7.2. Run as root; DIR must not exist. Afterwards copy it to its base directory as it is (it has FIFOs and
owners), and its bin/* to /sbin.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.chain import identity
from initfs.pid1 import skeleton
from initfs.pid1.skeleton import Design
from initfs.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = (
    "init-maker [-V n] [-c basedir] [-u log_user] [-G getty_cmd] [-1] [-L] [-p path] [-m umask] [-t 0-3] [-d slashdev] "
    "[-s env_store] [-e VAR[=VAL]]... [-q ms] [-D initdefault] [-n | -N] [-f skel] [-R limits] [-C] [-B] [-S] [-W fd] dir"
)
OPTIONS = "V:c:u:G:1Lp:m:t:d:s:e:q:D:nNf:R:CBSW:"
GRACE_MAX, STAMP_MAX = 300_000, 3
DIRECTORIES = ("bin", "env", "scripts", "run-image", "run-image/service", "run-image/service/.svscan")


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], OPTIONS, USAGE)
    if len(rest) != 1:
        raise say.usage(USAGE)
    chosen = design(given)
    user = identity.user(chosen.user)
    if user is None:
        raise say.Fatal(say.USAGE, f"unknown user: {chosen.user}")
    if os.path.lexists(rest[0]):
        raise say.Fatal(say.USAGE, f"{rest[0]} exists already")
    found = dict(given)
    try:
        write(rest[0], chosen, [text for letter, text in given if letter == "e"], found.get("f", ""), user)
    except OSError as error:
        raise say.unable(f"make {error.filename or rest[0]}", error) from error
    return say.OK


def design(given: list[tuple[str, str]]) -> Design:
    """The Design that options ask for; say.Fatal 100 for what makes no sense."""
    chosen = Design()
    for letter, text in given:
        if letter in READERS:
            name, read = READERS[letter]
            chosen = replace(chosen, **{name: read(text)})
    return chosen


def _number(most: int) -> Callable[[str], int]:
    return lambda text: min(options.number(text, USAGE), most)


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise say.Fatal(say.USAGE, f"not an absolute path: {text}")
    return text


def _below_run(text: str) -> str:
    if not text.startswith("/run/"):
        raise say.Fatal(say.USAGE, f"the store of the environment must be below /run: {text}")
    return text


def _octal(text: str) -> str:
    if not text or not set(text) <= set("01234567") or int(text, 8) > 0o777:
        raise say.usage(USAGE)
    return text


def _descriptor(text: str) -> int:
    return options.number(text, USAGE, 3)


def _stamp(text: str) -> int:
    if options.number(text, USAGE) > STAMP_MAX:
        raise say.usage(USAGE)
    return int(text)


# Option -> (field of Design, how its value is read).
READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "V": ("verbosity", _number(9)),
    "c": ("base", _absolute),
    "u": ("user", str),
    "G": ("getty", str),
    "1": ("console", lambda _: True),
    "L": ("logouthook", lambda _: True),
    "p": ("path", str),
    "m": ("umask", _octal),
    "t": ("stamp", _stamp),
    "d": ("dev", _absolute),
    "s": ("store", _below_run),
    "q": ("grace", _number(GRACE_MAX)),
    "D": ("level", str),
    "n": ("run", lambda _: "remount"),
    "N": ("run", lambda _: "keep"),
    "R": ("limits", str),
    "C": ("container", lambda _: True),
    "B": ("catch_all", lambda _: False),
    "S": ("sync", lambda _: True),
    "W": ("wait", _descriptor),
}


def write(where: str, chosen: Design, variables: list[str], skel: str, user: tuple[int, int]) -> None:
    """Write the tree. Modes are as given, whatever our umask is."""
    os.umask(0)
    for name in ("", *DIRECTORIES):
        os.mkdir(f"{where}/{name}", 0o700 if name.endswith(".svscan") else 0o755)
    template = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stage1.sh")
    with open(template, encoding="utf-8") as file:
        _file(f"{where}/bin/init", 0o755, skeleton.stage1(file.read(), chosen))
    for path, (mode, text) in skeleton.files(chosen).items():
        name = path.removeprefix("scripts/")
        if path != name and skel and os.path.exists(f"{skel}/{name}"):
            with open(f"{skel}/{name}", encoding="utf-8") as file:
                text = file.read()  # noqa: PLW2901
        os.makedirs(os.path.dirname(f"{where}/{path}"), 0o755, exist_ok=True)
        _file(f"{where}/{path}", mode, text)
    for variable in variables:
        name, _, text = variable.partition("=")
        _file(f"{where}/env/{name}", 0o644, text)
    if chosen.catch_all:
        _catch_all(f"{where}/run-image", user)


def _catch_all(image: str, user: tuple[int, int]) -> None:
    os.mkfifo(f"{image}/service/svscan-log/fifo", 0o600)
    os.mkdir(f"{image}/uncaught-logs")
    os.chown(f"{image}/service/svscan-log/fifo", *user)
    os.chown(f"{image}/uncaught-logs", *user)
    os.chmod(f"{image}/uncaught-logs", 0o2750)


def _file(path: str, mode: int, text: str) -> None:
    files.create(path, os.fsencode(text))
    os.chmod(path, mode)
