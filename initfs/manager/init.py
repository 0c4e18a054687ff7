"""rc-init: make a live directory, all services down, each longrun with a supervisor. Source: `spec/service-manager.md` 6.6."""

from __future__ import annotations

import os

from initfs import files, loop, options, say
from initfs.manager import database, disk, furnish, live, locks
from initfs.supervise import client, svscanctl, waiters
from initfs.supervise.presence import STUCK, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.model import Database

USAGE = "rc-init [-c compiled] [-l live] [-p prefix] [-t ms] [-b] [-d] scandir"
LONG = {"compiled": "c", "livedir": "l", "prefix": "p", "timeout": "t", "block": "b", "deref": "d"}


def main(argv: list[str]) -> int:
    given, rest = options.parse(argv[1:], "c:l:p:t:bd", USAGE, LONG)
    found = dict(given)
    if len(rest) != 1:
        raise say.usage(USAGE)
    path, scandir, boot = found.get("l", live.LIVE), rest[0], found.get("c", live.BOOT)
    if "d" in found:
        boot = os.path.realpath(boot)
    prefix = found.get("p", "")
    _check(path, scandir, boot, prefix)
    milliseconds = options.number(found.get("t", "0"), USAGE)
    until = loop.now() + milliseconds / 1000 if milliseconds else loop.NEVER
    if _running(path, scandir, prefix):
        return say.OK
    locks.take(boot, locks.SHARED, block="b" in found)
    _Beginning(path, scandir, boot, prefix).begin(until)
    return say.OK


def _check(path: str, scandir: str, boot: str, prefix: str) -> None:
    for what, given in (("live", path), ("scandir", scandir), ("compiled", boot)):
        if not given.startswith("/"):
            raise say.Fatal(say.USAGE, f"{what} must be an absolute path: {given}")
    if "/" in prefix or "\n" in prefix or prefix.startswith("."):
        raise say.Fatal(say.USAGE, f"a prefix of names can't be {prefix!r}")
    try:
        os.close(os.open(f"{scandir}/.svscan/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        raise say.Fatal(say.USAGE, f"no svscan runs on {scandir}") from None


def _running(path: str, scandir: str, prefix: str) -> bool:
    """Whether there is a live directory already, whose services are supervised. A lost link to one is made again."""
    if not os.path.islink(path) and not _recovered(path):
        return False
    if not os.path.isdir(path):
        return False
    same = os.path.realpath(f"{path}/scandir") == os.path.realpath(scandir) and live.prefix(path) == prefix
    if not same:
        raise say.Fatal(
            say.NOT_SUPERVISED, f"{path} is the live directory of another scan directory or prefix"
        )
    return _supervised(path)


def _supervised(path: str) -> bool:
    names = database.load(f"{path}/compiled").names[:1]
    try:
        return all(client.supervised(f"{path}/servicedirs/{name}") for name in names)
    except OSError:
        return False


def _recovered(path: str) -> bool:
    """Find the directory that a lost link led to: the one of that name which is supervised."""
    parent, name = os.path.split(path)
    if not os.path.isdir(parent):
        return False
    for entry in sorted(os.listdir(parent)):
        if entry.startswith(f"{name}:") and _supervised(f"{parent}/{entry}"):
            live.point(path, f"{parent}/{entry}")
            return True
    return False


class _Beginning:
    def __init__(self, path: str, scandir: str, boot: str, prefix: str) -> None:
        self.path, self.scandir, self.boot, self.prefix = path, scandir, boot, prefix
        self._linked: list[str] = []
        self._made = ""

    def begin(self, until: float) -> None:
        """Make it, and wait for the supervisors, as long as they come. say.Fatal 111: nothing is left then."""
        made = database.load(self.boot)
        self._refuse_foreign(made)
        try:
            self._make(made)
            with Watch() as watch:
                waiters.make_room(2 * made.longruns)
                for name in made.names[: made.longruns]:
                    watch.for_letter(f"{self._made}/servicedirs/{name}", "s")
                self._link(made)
                svscanctl.send(self.scandir, "a")
                self._wait(watch, until)
        except OSError as error:
            self._take_back()
            raise say.Fatal(say.TEMPORARY, f"unable to make {self.path}: {say.reason(error)}") from error
        except BaseException:
            self._take_back()
            raise

    def _refuse_foreign(self, made: Database) -> None:
        for name in made.names[: made.longruns]:
            entry = f"{self.scandir}/{self.prefix}{name}"
            if os.path.lexists(entry) and not os.path.islink(entry):
                raise say.Fatal(say.TEMPORARY, f"{entry} exists already; a prefix (-p) makes other names")

    def _make(self, made: Database) -> None:
        if os.path.lexists(self.path) and not os.path.islink(self.path):
            raise FileExistsError(17, os.strerror(17), self.path)
        former = os.path.realpath(self.path) if os.path.islink(self.path) else ""
        self._made = live.create(self.path, self.boot, self.scandir, self.prefix, bytes(len(made)))
        for name in made.names[: made.longruns]:
            furnish.copy(self.boot, self._made, name)
        live.point(self.path, self._made)
        if former and former != self._made:
            disk.remove_tree(former)  # of a tree that is gone

    def _link(self, made: Database) -> None:
        for name in made.names[: made.longruns]:
            self._linked.append(f"{self.prefix}{name}")
            furnish.link(self.scandir, f"{self.prefix}{name}", f"{self._made}/servicedirs/{name}")

    def _wait(self, watch: Watch, until: float) -> None:
        try:
            watch.while_runs(self.scandir)
            watch.wait(until, STUCK)
        except say.Fatal as fatal:
            raise say.Fatal(say.TEMPORARY, str(fatal)) from fatal

    def _take_back(self) -> None:
        for entry in self._linked:
            self._unlink(entry)
        files.tried("have it forgotten", lambda: files.send(f"{self.scandir}/.svscan/control", b"an"))
        if self._made:
            files.tried(f"remove {self.path}", lambda: files.remove(self.path))
            files.tried(f"remove {self._made}", lambda: disk.remove_tree(self._made))

    def _unlink(self, entry: str) -> None:
        files.tried(f"remove {entry}", lambda: furnish.unlink(self.scandir, entry))
