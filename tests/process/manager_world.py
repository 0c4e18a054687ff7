"""A live directory on a real tree, for tests of the service manager: sources are written, compiled, begun and changed."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from initfs import main
from tests.process.tree import ROOT, Tree
from tests.process.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Self

    Files = dict[str, str]

INTERNAL = ["s6rc-oneshot-runner", "s6rc-fdholder"]
RUNNER = INTERNAL[0]
EXECUTABLE = ("run", "finish")
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from initfs.main import main; sys.exit(main())"


def ours(name: str, *arguments: object) -> list[str]:
    """The command line of one of our programs, as an image starts it: without site, which takes longer than most of them."""
    return [sys.executable, "-IS", "-c", CODE, name, *map(str, arguments)]


def warm(
    name: str,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    timeout: float = PATIENCE * 2,
) -> subprocess.CompletedProcess[str]:
    """One of our programs, to its end, in a copy of this process: an interpreter that starts anew costs five times as much as most programs."""
    argv = [name, *map(str, arguments)]
    said, complained = (os.memfd_create(which) for which in ("said", "complained"))
    pid = os.fork()
    if not pid:
        _become(argv, dict(os.environ if env is None else env), (stdin, said, complained))
    code = _awaited(pid, time.monotonic() + timeout)
    texts = []
    for fd in (said, complained):
        with open(fd, encoding="utf-8", errors="surrogateescape") as file:
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(argv, code, *texts)


def _awaited(pid: int, deadline: float) -> int:
    """The exit code of a child, which is killed when it takes too long."""
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become(argv: list[str], environment: dict[str, str], descriptors: tuple[int, int, int]) -> None:
    code = 99
    gc.disable()  # it would touch, and so copy, every page of the tests' objects
    try:
        for signum in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_DFL)
        stdin = os.open(os.devnull, os.O_RDONLY) if descriptors[0] == subprocess.DEVNULL else descriptors[0]
        for number, fd in enumerate((stdin, *descriptors[1:])):
            os.dup2(fd, number)
        os.closerange(3, 4096)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 -- pytest's is not ours
        code = main.main(argv)
        sys.stdout.flush()
    finally:
        os._exit(code)


def write_service(
    source: Path, name: str, kind: str, files: Files | None = None, needs: Iterable[str] = ()
) -> Path:
    """A definition. FILES are given by name; programs are shell scripts, what ends in / is a directory of empty files."""
    directory = source / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "type").write_text(f"{kind}\n")
    for file, content in (files or {}).items():
        path = directory / file
        if file.endswith("/"):
            path.mkdir()
            for entry in content.split():
                (path / entry).touch()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{content}\n" if file in EXECUTABLE else content)
    for other in needs:
        (directory / "dependencies.d").mkdir(exist_ok=True)
        (directory / "dependencies.d" / other).touch()
    return directory


class World:
    """`with World(tmp_path) as world:` a tree runs, with a source to write to; `begin` makes the live directory."""

    def __init__(self, base: Path, *options: str) -> None:
        """OPTIONS are svscan's."""
        self.base = base
        self.source = base / "source"
        self.source.mkdir()
        self.live = base / "live"
        self.journal = base / "journal"
        self.journal.touch()
        self.tree = Tree(base / "tree", "-w", *options)
        self.tree.environment["JOURNAL"] = str(self.journal)
        self._databases = 0

    def __enter__(self) -> Self:
        self.tree.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.tree.__exit__(kind, *rest)

    def stop(self) -> None:
        """End the tree, if it has not ended."""
        if self.tree.process is not None and self.tree.process.poll() is None:
            self.tree.stop()

    # Definitions ----------------------------------------------------------------------------------

    def oneshot(
        self, name: str, up: str | None = None, down: str | None = None, *needs: str, **files: str
    ) -> Path:
        """A oneshot that writes `up NAME` and `down NAME` to the journal, unless it is given scripts (for sh) of its own."""
        scripts = {
            "up": up if up is not None else f"echo up {name} >>$JOURNAL",
            "down": down if down is not None else f"echo down {name} >>$JOURNAL",
        }
        given = {file: f"#!/bin/sh\n{content}\n" for file, content in scripts.items()}
        return write_service(self.source, name, "oneshot", given | _dashed(files), needs)

    def longrun(self, name: str, run: str = "exec sleep 1000", *needs: str, **files: str) -> Path:
        return write_service(self.source, name, "longrun", {"run": run} | _dashed(files), needs)

    def ready(self, name: str, *needs: str, **files: str) -> Path:
        """A longrun that says when it is up and when it has gone down, and announces readiness.

        Its process is its `sleep` itself. A shell that has one as its child cannot end it for sure: what it sends before the copy has
        become `sleep` runs the copy's inherited handler, and is lost (dash: a quarter of the tries, right after the start).
        """
        return self.longrun(
            name,
            f"echo up {name} >>$JOURNAL; echo >&3; exec sleep 1000 3>&-",
            *needs,
            finish=f"echo down {name} >>$JOURNAL",
            notification_fd="3\n",
            **files,
        )

    def bundle(self, name: str, *contents: str) -> Path:
        return write_service(
            self.source, name, "bundle", {"contents": "".join(f"{one}\n" for one in contents)}
        )

    # Programs -------------------------------------------------------------------------------------

    def run(
        self,
        name: str,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.CompletedProcess[str]:
        """One of our programs, to its end."""
        given = {**self.tree.environment, "CALLER": "here"} if env is None else env
        return warm(name, *arguments, env=given, stdin=stdin)

    def start(self, name: str, *arguments: object) -> subprocess.Popen[str]:
        """The same, without waiting."""
        return subprocess.Popen(
            ours(name, *arguments), env=self.tree.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def compile(self, *options: object) -> Path:
        """The source, compiled; the database."""
        self._databases += 1
        compiled = self.base / f"compiled{self._databases}"
        done = self.run("rc-compile", *options, compiled, self.source)
        assert done.returncode == 0, done.stderr
        return compiled

    def begin(self, *options: object) -> Path:
        """Compile, and make the live directory; the database."""
        compiled = self.compile()
        done = self.run(
            "rc-init", "-c", compiled, "-l", self.live, "-t", "30000", *options, self.tree.scandir
        )
        assert done.returncode == 0, done.stderr
        return compiled

    def rc(self, *arguments: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """rc on the live directory; it must end with CODE."""
        done = self.run("rc", "-l", self.live, *arguments)
        assert code is None or done.returncode == code, (done.returncode, done.stderr, self.tree.said)
        return done

    def up(self) -> list[str]:
        """The services that are up, without the manager's own."""
        return [name for name in self.rc("-a", "list").stdout.split("\n") if name and name not in INTERNAL]

    def told(self) -> list[str]:
        """What services wrote to the journal, which is empty afterwards."""
        lines = self.journal.read_text().splitlines()
        self.journal.write_text("")
        return lines

    def pid(self, name: str) -> int:
        """The process of a longrun."""
        return self.tree.status(name).pid

    def servicedir(self, name: str) -> Path:
        return self.live / "servicedirs" / name


def chained(world: World) -> None:
    """a <- b <- c (a longrun) <- d, and e beside them."""
    world.oneshot("a")
    world.oneshot("b", None, None, "a")
    world.ready("c", "b")
    world.oneshot("d", None, None, "c")
    world.oneshot("e")
    world.bundle("all", "d", "e")
    world.begin()


def update(world: World, *options: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Compile what the source is now, and go over to it."""
    done = world.run("rc-update", "-l", world.live, "-t", "30000", *options, world.compile())
    assert done.returncode == code, (done.returncode, done.stderr, world.tree.said)
    return done


def consistent(world: World) -> None:
    """The live directory is whole: what is up is up for its supervisor too, and the scan directory leads into it."""
    assert world.rc("diff", code=None).stdout == ""
    here = os.path.realpath(world.live)
    longruns = set(world.run("rc-db", "-l", world.live, "list", "longruns").stdout.split())
    entries = {path.name: os.readlink(path) for path in world.tree.scandir.iterdir() if path.is_symlink()}
    assert entries == {name: f"{here}/servicedirs/{name}" for name in longruns}
    assert [str(path) for path in world.live.parent.glob("live:*")] == [here], "the old one is gone"


def compiled(base: Path, *sources: Path, code: int = 0) -> tuple[Path, str]:
    """Compile; (the database, what was said)."""
    target = base / "db"
    done = warm("rc-compile", target, *(sources or [base / "src"]))
    assert done.returncode == code, done.stderr
    assert target.exists() == (code == 0)
    assert [path.name for path in base.iterdir() if path.name.startswith("db.")] == [], (
        "nothing half-made is left"
    )
    return target, done.stderr


def ask(db: Path, *words: object, code: int = 0) -> str:
    done = warm("rc-db", "-c", db, *words)
    assert done.returncode == code, done.stderr
    return done.stdout


def _dashed(files: Files) -> Files:
    return {name.replace("_", "-"): content for name, content in files.items()}


__all__ = ["INTERNAL", "ROOT", "World", "write_service"]
