"""Where access rules are: a directory that is read at each connection, or a compiled file that is read once.

    rules/uid/1000/allow      an empty file: let in          rules/uid/1000/deny    keep out, unless there is allow as well
    rules/uid/1000/env/NAME   with allow: a variable         rules/uid/1000/exec    with allow: the command line instead

Whoever can write rules decides who gets in, with what. So a directory of rules that its group or others can write to, or such a file in
`env`, or such an `exec`, is not believed: its connections are refused until that is mended. Links are followed (several ids may share a rule), and their targets are judged.
"""

from __future__ import annotations

import os

from initfs import files
from initfs.chain import envdir
from initfs.local import compiled
from initfs.local.access import DENIED, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 16 << 20
GROUP_AND_OTHERS = 0o022


class Untrusted(OSError):
    """Rules that others can write to."""


class Directory:
    """The rules below a directory, as they are now."""

    def __init__(self, path: str) -> None:
        self.path = path

    def look_up(self, key: str) -> Rule | None:
        """The rule of KEY, None without one. OSError when it cannot be read, Untrusted when it must not be believed."""
        place = f"{self.path}/{key}"
        if not trusted(place):
            return None
        parent, _, _ = key.partition("/")
        trust(f"{self.path}/{parent}")
        trust(self.path)
        return read(place)

    def reload(self) -> None:
        """Nothing to do: the directory is read each time."""

    def refresh(self) -> None:
        """Nothing to do either."""


class Compiled:
    """The rules in a compiled file, as they were when it was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.database = b""
        self._file = (0, 0, 0)
        self.reload()

    def look_up(self, key: str) -> Rule | None:
        return compiled.look_up(self.database, key)

    def reload(self) -> None:
        """Read the file again. OSError when it cannot be read, or not be believed: the former rules go on."""
        trust(self.path)
        content = files.read(self.path, size=LARGEST)
        if content is None:
            raise FileNotFoundError(2, os.strerror(2), self.path)
        self.database = content

    def refresh(self) -> None:
        """Read the file again when another one has taken its name."""
        status = os.stat(self.path)
        file = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if file != self._file:
            self.reload()
            self._file = file


if TYPE_CHECKING:
    Rules = Directory | Compiled


def trust(place: str | int) -> None:
    """Untrusted when somebody besides its owner can write to PLACE, a path or a descriptor, or its owner is neither root nor us."""
    _judge(os.stat(place), place)


def trusted(place: str) -> bool:
    """Whether there is something at PLACE. Untrusted, and OSError when it cannot be looked at: a later key might let in."""
    try:
        status = os.stat(place)
    except (FileNotFoundError, NotADirectoryError):
        return False
    _judge(status, place)
    return True


def _judge(status: os.stat_result, place: str | int) -> None:
    if status.st_mode & GROUP_AND_OTHERS or status.st_uid not in (0, os.geteuid()):
        raise Untrusted(1, "others can write to it", place)


def read(place: str) -> Rule | None:
    """The rule in one directory, None when it has neither allow nor deny. OSError."""
    if not _there(f"{place}/allow"):
        return DENIED if _there(f"{place}/deny") else None
    environment: dict[bytes, bytes | None] = {}
    if trusted(f"{place}/env"):
        contents = envdir.contents(f"{place}/env", envdir.CLAMP, judge=trust)
        environment = {name: envdir.value(content) for name, content in contents.items()}
    script = files.read(f"{place}/exec", size=compiled.SCRIPT_MAX) if trusted(f"{place}/exec") else None
    return Rule(True, tuple(sorted(environment.items())), script or b"")


def _there(path: str) -> bool:
    """Whether there is something; whose it is does not matter. OSError as above."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def walk(directory: str) -> Iterator[tuple[str, Rule]]:
    """Every key below DIRECTORY that has a rule. OSError."""
    for kind in sorted(os.listdir(directory)):
        if not os.path.isdir(f"{directory}/{kind}"):
            continue
        for name in sorted(os.listdir(f"{directory}/{kind}")):
            place = f"{directory}/{kind}/{name}"
            rule = read(place) if os.path.isdir(place) else None
            if rule is not None:
                yield f"{kind}/{name}", rule


def write(place: str, rule: Rule) -> None:
    """Make the directory PLACE that means RULE. OSError; FileExistsError when it is there."""
    os.makedirs(place)
    if not rule.allowed:
        files.create(f"{place}/deny")
        return
    files.create(f"{place}/allow")
    if rule.environment:
        os.mkdir(f"{place}/env")
    for name, content in rule.environment:
        text = b"" if content is None else content.replace(b"\n", b"\0") + b"\n"
        files.create(f"{place}/env/{os.fsdecode(name)}", text)
    if rule.exec:
        files.create(f"{place}/exec", rule.exec)


def opened(directory: str | None, database: str | None) -> Rules | None:
    """The rules that the options -i and -x name. OSError."""
    if directory is not None:
        return Directory(directory)
    return Compiled(database) if database is not None else None
