"""A live directory takes the place of another while its services run: the acting part of an update.

What goes on takes its service directory along: it is renamed, and so its supervisor, that knows it by device and inode, notices nothing.
Until the link `live` leads to the new directory, the old one has links to what was taken out of it: whoever is killed in between leaves a whole one.
"""

from __future__ import annotations

import os

from initfs import files, loop, say
from initfs.manager import definition, disk, furnish, live
from initfs.supervise import client, svscanctl, waiters
from initfs.supervise.presence import STUCK, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.manager.conversion import Conversion
    from initfs.manager.live import Live
    from initfs.manager.query import Index

FILES = (
    *definition.PROGRAMS,
    "run.user",
    "finish.user",
    *definition.NUMBERS,
    *definition.SIGNALS,
    *definition.EMPTY,
)
PENDING = "pending"  # the services that an update still has to start, a name a line
TREES = ("data", "env", "template")


class Switch:
    """One switch. `take` can be taken back until `commit`; `finish` comes after it."""

    def __init__(self, old: Live, new: Index, compiled: str, made: Conversion) -> None:
        self._old, self._new, self._compiled = old, new, compiled
        self._conversion = made
        self._former = os.path.realpath(old.path)
        self._scandir = os.readlink(f"{old.path}/scandir")
        self._prefix = live.prefix(old.path)
        self._taken: list[tuple[str, str]] = []
        self._fresh: list[str] = []
        self.path = ""

    def take(self) -> None:
        """Make the new directory, and move what goes on. say.Fatal 111: then all is as it was."""
        try:
            self._take()
        except OSError as error:
            self._take_back()
            where = f"{error.filename}: " if error.filename else ""
            raise say.Fatal(
                say.TEMPORARY, f"unable to make the new live directory: {where}{say.reason(error)}"
            ) from error
        except BaseException:
            self._take_back()
            raise

    def _take(self) -> None:
        state = bytearray(len(self._new.database))
        for number, before in self._conversion.kept:
            state[number] = self._old.state[before]
        self.path = live.create(self._old.path, self._compiled, self._scandir, self._prefix, bytes(state))
        if os.path.exists(f"{self._former}/{PENDING}"):
            disk.copy(f"{self._former}/{PENDING}", f"{self.path}/{PENDING}")
        kept = dict(self._conversion.kept)
        names = self._new.database.names[: self._new.database.longruns]
        for number, name in enumerate(names):
            if number not in kept:
                furnish.copy(self._compiled, self.path, name)
                self._fresh.append(name)
        for number, name in enumerate(names):
            if number in kept:
                self._move(self._old.index.database.names[kept[number]], name)

    def _move(self, before: str, name: str) -> None:
        """Take a service directory along; where an update was killed, the old live directory has but a link to it."""
        source, target = (
            os.path.realpath(f"{self._former}/servicedirs/{before}"),
            f"{self.path}/servicedirs/{name}",
        )
        disk.move_away(source, target)
        self._taken.append((source, target))
        furnish.link(self._scandir, f"{self._prefix}{before}", target)

    def _take_back(self) -> None:
        for source, target in reversed(self._taken):
            self._move_back(source, target)
        if self.path:
            files.tried(f"remove {self.path}", lambda: disk.remove_tree(self.path))

    def _move_back(self, source: str, target: str) -> None:
        entry = f"{self._prefix}{os.path.basename(source)}"
        files.tried(f"remove {source}", lambda: files.remove(source))
        files.tried(f"move {target} back", lambda: os.rename(target, source))
        files.tried(f"link {entry}", lambda: furnish.link(self._scandir, entry, source))

    def commit(self) -> None:
        """The point of no return: `live` leads to the new directory. say.Fatal 111: then all is as it was."""
        try:
            live.point(self._old.path, self.path)
        except OSError as error:
            self._take_back()
            raise say.unable(f"have {self._old.path} lead to {self.path}", error) from error

    def finish(self, until: float = loop.NEVER) -> list[str]:
        """Bring supervisors, scripts and links up to date; returns the services that go on with a changed script. say.Fatal 111."""
        changed = [name for name in self._kept_names() if self._replace(name)]
        with Watch() as watch:
            waiters.make_room(2 * len(self._fresh))
            for name in self._fresh:
                watch.for_letter(f"{self.path}/servicedirs/{name}", "s")
            self._relink()
            svscanctl.send(self._scandir, "an")
            watch.while_runs(self._scandir)
            watch.wait(until, STUCK)
        self._sweep()
        return changed

    def _sweep(self) -> None:
        """Remove the former live directory, and what updates left that were killed."""
        parent, name = os.path.split(self._old.path)
        here = os.path.basename(self.path)
        for entry in os.listdir(parent or "."):
            if entry.startswith(f"{name}:") and entry != here:
                _remove(os.path.join(parent, entry))

    def _kept_names(self) -> list[str]:
        longruns = self._new.database.longruns
        return [self._new.database.names[number] for number, _ in self._conversion.kept if number < longruns]

    def _relink(self) -> None:
        now = set(self._new.database.names[: self._new.database.longruns])
        for name in now:
            entry, target = f"{self._prefix}{name}", f"{self.path}/servicedirs/{name}"
            if _leads_to(f"{self._scandir}/{entry}") != target:
                furnish.link(self._scandir, entry, target)
        for name in self._old.index.database.names[: self._old.index.database.longruns]:
            if name not in now:
                furnish.unlink(self._scandir, f"{self._prefix}{name}")
        for entry in os.listdir(self._scandir):  # what an update that was killed did not come to
            where = _leads_to(f"{self._scandir}/{entry}")
            if where.startswith(f"{self._old.path}:") and entry.removeprefix(self._prefix) not in now:
                furnish.unlink(self._scandir, entry)

    def _replace(self, name: str) -> bool:
        """Give a service that goes on its new files; whether there were any. While they change, its death would not start it."""
        target = f"{self.path}/servicedirs/{name}"
        # Who was replacing its files before us was killed: it is to be up, but its supervisor was told `Q`.
        halted = os.path.exists(f"{target}/down") and not client.read_status(target).wanted
        return refresh(f"{self._compiled}/servicedirs/{name}", target, halted=halted)


def _remove(path: str) -> None:
    files.tried(f"remove {path}", lambda: disk.remove_tree(path))


def refresh(source: str, target: str, *, halted: bool = False) -> bool:
    """Have the live service directory TARGET be as SOURCE in a database; False when it is. OSError, say.Fatal.

    HALTED: its supervisor is to be told that it is wanted, whatever it says now.
    """
    alike = all(_alike(f"{source}/{name}", f"{target}/{name}") for name in (*FILES, *TREES))
    wanted = halted or (not alike and client.read_status(target).wanted)
    try:
        if not alike:
            client.send(target, "Q")
            replace(source, target)
    finally:
        if wanted:
            client.send(target, "U")
    return not alike


def _alike(one: str, other: str) -> bool:
    """Whether both are there and the same, or neither is there."""
    if not os.path.lexists(one) or not os.path.lexists(other):
        return os.path.lexists(one) == os.path.lexists(other)
    try:
        return _same(one, other)
    except OSError:
        return False


def _leads_to(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def replace(source: str, target: str) -> None:
    """Have the files of the service directory TARGET be those of SOURCE, each by a rename. OSError."""
    for file in FILES:
        if os.path.exists(f"{source}/{file}"):
            new = f"{target}/.{file}.new"
            disk.copy(f"{source}/{file}", new)
            os.rename(new, f"{target}/{file}")
        else:
            files.remove(f"{target}/{file}")
    for tree in TREES:
        old = f"{target}/.{tree}.old"
        disk.remove_tree(old)
        if os.path.isdir(f"{source}/{tree}"):
            disk.copy_tree(f"{source}/{tree}", f"{target}/.{tree}.new")
        if os.path.isdir(f"{target}/{tree}"):
            os.rename(f"{target}/{tree}", old)
        if os.path.isdir(f"{target}/.{tree}.new"):
            os.rename(f"{target}/.{tree}.new", f"{target}/{tree}")
        disk.remove_tree(old)


def same(one: str, other: str) -> bool:
    """Whether two directories have the same files with the same contents and modes, all the way down."""
    try:
        names = sorted(os.listdir(one))
        if names != sorted(os.listdir(other)):
            return False
        return all(_same(f"{one}/{name}", f"{other}/{name}") for name in names)
    except OSError:
        return False


def _same(one: str, other: str) -> bool:
    if os.path.islink(one) or os.path.islink(other):
        return os.path.islink(one) and os.path.islink(other) and os.readlink(one) == os.readlink(other)
    first, second = os.stat(one), os.stat(other)
    if first.st_mode != second.st_mode:
        return False
    if os.path.isdir(one):
        return same(one, other)
    return first.st_size == second.st_size and disk.content(one) == disk.content(other)
