"""The supervisors that are compared: how each is started on a directory of service directories, and how it is ended."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import busybox, host
from board.architecture import ARCHITECTURES
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from board.report import Report

HERE = Path(__file__).resolve().parent
# The venv's interpreter without site: what an image has, that is, without what a developer's environment adds.
PYTHON = (sys.executable, "-I", "-S")
LAUNCHER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from initfs.main import main; sys.exit(main(sys.argv[2:]))"
)
SUPERVISOR = "supervisor==4.3.0"
SPARE = 10  # services more than there are: the limit itself is not what is measured


class Unavailable(Exception):
    """Why a suite cannot be measured here."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A supervisor."""

    name: str
    command: Callable[[Path, int], list[str]]  # for a scan directory with so many services
    stop: int | None = None  # the signal that ends it and all below it; None: nothing does
    programs: str = ""  # a directory that comes first in its PATH


def ours(name: str, *arguments: object) -> list[str]:
    """Return the command line of one of our programs, with nothing around it that costs time."""
    return [*PYTHON, "-c", LAUNCHER, str(host.ROOT), name, *map(str, arguments)]


def compile_ours() -> None:
    """Have bytecode beside our modules: an image has it, and a checkout's PYTHONDONTWRITEBYTECODE may prevent it."""
    host.run(
        [*PYTHON, "-m", "compileall", "-q", str(host.ROOT / "initfs")],
        what="compile initfs",
        env={"PYTHONDONTWRITEBYTECODE": ""},
    )


def compiled(name: str) -> Path:
    """Return the static program made of NAME.c here, compiled now unless it is in the cache."""
    host.need(["gcc", "libc6-dev"])
    source = HERE / f"{name}.c"
    path = host.cache() / "bench" / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / name
            command = ["gcc", "-O2", "-Wall", "-Werror", "-static", "-o", str(made), str(source)]
            host.run(command, what=f"compile {source.name}")
            made.rename(path)
    return path


def installed(name: str) -> str:
    """Return the path of a program of this host."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"there is no program {name}")
    return path


def initfs(_: Report) -> Suite:
    """Ours."""
    compile_ours()
    return Suite("initfs", lambda scan, count: ours("svscan", "-C", count + SPARE, scan), signal.SIGTERM)


def floor(_: Report) -> Suite:
    """Return what does nothing but vfork and exec."""
    program = str(compiled("floor"))
    return Suite("floor", lambda scan, _: [program, str(scan)])


def s6(_: Report) -> Suite:
    """s6-svscan; the letter of the option for more services depends on its version."""
    program = installed("s6-svscan")
    with tempfile.TemporaryDirectory() as nothing:  # whatever it takes -h for, there is nothing to supervise
        command = [program, "-h", nothing]
        asked = subprocess.run(command, capture_output=True, cwd=nothing, check=False, timeout=10)
    letter = "-C" if b"-C" in asked.stderr + asked.stdout else "-c"
    return Suite("s6", lambda scan, count: [program, letter, str(count + SPARE), str(scan)], signal.SIGTERM)


def runit(_: Report) -> Suite:
    """Return Debian's runsvdir."""
    program = installed("runsvdir")
    installed("runsv")
    return Suite("runit", lambda scan, _: [program, str(scan)], signal.SIGHUP)


def own_busybox(report: Report) -> Suite:
    """Return the busybox of our images, as Debian's static one has no runsvdir; it must find its applet runsv by PATH."""
    native = busybox.native()
    if native not in ARCHITECTURES:
        raise Unavailable(f"board/busybox.py builds none for {native}")
    built = busybox.build(ARCHITECTURES[native], report)
    if not {"runsvdir", "runsv"} <= set(built.applets):
        raise Unavailable("our busybox has no runsvdir")
    links = host.cache() / "bench" / f"applets-{built.program.parent.name}"
    for name in ("runsvdir", "runsv"):
        link(links / name, built.program)
    program = str(links / "runsvdir")
    return Suite("busybox", lambda scan, _: [program, str(scan)], signal.SIGHUP, str(links))


def link(path: Path, target: Path) -> None:
    """Have a link to TARGET."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def supervisord(report: Report) -> Suite:
    """Return supervisord of PyPI, in an environment of its own in the cache."""
    folder = host.cache() / "bench" / SUPERVISOR.replace("==", "-")
    program = folder / "bin" / "supervisord"
    if not program.exists():
        with report.step(f"install {SUPERVISOR}"):
            host.run([sys.executable, "-m", "venv", "--clear", folder], what="make an environment")
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
            host.run([*pip, SUPERVISOR, "setuptools<80"], what=f"install {SUPERVISOR}")

    def command(scan: Path, _: int) -> list[str]:
        settings = scan.parent / "supervisord.conf"
        settings.write_text(configuration(scan))
        return [str(program), "-n", "-c", str(settings)]

    return Suite("supervisord", command, signal.SIGTERM)


def configuration(scan: Path) -> str:
    """Return supervisord's configuration for the services of a scan directory."""
    parts = [f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={scan.parent}/supervisord.pid\n"]
    parts += [
        f"[program:{service.name}]\ncommand={service}/run\ndirectory={service}\nautorestart=true\n"
        for service in sorted(scan.iterdir())
    ]
    return "\n".join(parts)


SUITES: dict[str, Callable[[Report], Suite]] = {
    "floor": floor,
    "initfs": initfs,
    "s6": s6,
    "runit": runit,
    "busybox": own_busybox,
    "supervisord": supervisord,
}
DEFAULT = "floor,initfs,s6,runit,busybox"


def choose(names: str) -> list[str]:
    """Return the names in a list with commas; `all` is every suite. A Failure names those there are."""
    chosen = list(SUITES) if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in SUITES:
            known = f"known: {' '.join(SUITES)}, all"
            raise Failure(f"measure {name!r}", "unknown suite", known, usage=True)
    return chosen
