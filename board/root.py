"""The root file system of an image, part by part: each function returns the records of one part.

`docs/image.md` is the contract these keep.
"""

from __future__ import annotations

import posixpath
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from board import definitions, kernel, services
from board.architecture import architecture, suite
from board.disk import equipment
from board.host import Failure
from board.library import interpreter, libraries, scripts, stdlib, taken, wanted
from board.ours import ours
from board.packages import merged
from board.tree import Directory, File, Link, Node, Record, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from board.busybox import Busybox
    from board.bytecode import Python
    from board.model import Board, Profile
    from board.ours import Sources
    from board.packages import Entry, Packages
    from board.pypi import Distribution

SKELETON = Path(__file__).resolve().parent / "skeleton"
LINKS = {"/bin": "usr/bin", "/sbin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64", "/usr/sbin": "bin",
         "/etc/resolv.conf": "/run/resolv.conf", "/etc/mtab": "/proc/mounts", "/var/run": "/run"}  # fmt: skip
FOLDERS = {"/dev": 0o755, "/proc": 0o555, "/sys": 0o555, "/run": 0o755, "/tmp": 0o1777, "/root": 0o700, "/mnt": 0o755,
           "/usr/lib64": 0o755, "/etc/initfs/early": 0o755, "/etc/initfs/service": 0o755}  # fmt: skip


def system(board: Board, time: int) -> Iterator[Record]:
    """Return directories, links, the devices of before devtmpfs, and the files of the skeleton."""
    for path, mode in FOLDERS.items():
        yield Directory(path=path, mode=mode)
    for path, target in LINKS.items():
        yield Link(path=path, target=target)
    yield Node(path="/dev/console", mode=0o600, kind="c", major=5, minor=1)
    yield Node(path="/dev/null", mode=0o666, kind="c", major=1, minor=3)
    for source in sorted(each for each in SKELETON.rglob("*") if each.is_file()):
        target = f"/{source.relative_to(SKELETON)}"
        yield File(path=target, mode=0o600 if target == "/etc/shadow" else 0o644, data=source.read_bytes())
    yield File(path="/etc/initfs/board", data=fragment(board, time).encode())
    yield from equipment.system(board)


def fragment(board: Board, time: int) -> str:
    """Return /etc/initfs/board: what run scripts may want to know of the machine, for the shell to read."""
    values = {
        "BOARD": board.name,
        "ARCHITECTURE": board.architecture,
        "CONSOLE": board.console,
        "BAUD": board.baud,
        "IMAGE_TIME": time,
        **equipment.variables(board),
    }
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def applets(busybox: Busybox, taken_names: Iterable[str]) -> Iterator[Record]:
    """Return busybox, and a link for each applet whose name nobody else has."""
    yield File(
        path="/usr/bin/busybox",
        mode=0o755,
        data=busybox.program.read_bytes(),
        package="busybox",
        group="busybox",
    )
    for name in sorted({*busybox.applets} - {*taken_names, "busybox"}):
        yield Link(path=f"/usr/bin/{name}", target="busybox", package="busybox", group="busybox")


def supervised(board: Board, profile: Profile, sources: Sources) -> Iterator[Record]:
    """Return the profile's services, and the scripts of stage 2 and stage 3."""
    folders = [sources.services, sources.ports]
    extra = ("agent", "events-port") if board.ports else ()
    added = [name for name in services.instances(sources.services) if name not in profile.early]
    later = tuple(dict.fromkeys((*profile.services, *extra, *added)))
    for where, names in (("early", profile.early), ("service", later)):
        for name in (name.format(console=board.console) for name in names):
            yield from services.records(f"/etc/initfs/{where}/{name}", services.locate(name, folders))
    for name in profile.templates:
        yield from services.records(f"/etc/initfs/template/{name}", services.locate(name, folders))
    for name in ("rc.init", "rc.shutdown", "rc.failsafe", "rc.healthy"):
        path = sources.services / name
        if not path.is_file():
            raise Failure(f"pack {name}", f"services/{name} does not exist")
        yield File(path=f"/etc/initfs/{name}", mode=0o755, data=path.read_bytes(), group="services")
    yield from definitions.records(sources)


def drivers(board: Board, profile: Profile, tree: Path, package: str) -> Iterator[Record]:
    """Return the kernel modules, the list of those to load at boot in order, and what modprobe needs for the others."""
    modules = kernel.modules(tree, board.load_order)
    everything = kernel.on_demand(tree, profile.modules) | modules
    for path, data in (everything | kernel.tables(everything, kernel.version(tree))).items():
        yield File(path=path, data=data, package=package, group="modules")
    yield File(
        path="/etc/initfs/modules", data="".join(f"{path}\n" for path in modules).encode(), group="system"
    )


def whole(packages: Packages, names: Iterable[str]) -> Iterator[Record]:
    """Return the files of the packages a board or profile asks for."""
    for name in names:
        for path, entry in packages.content(name):
            yield taken(path, entry, "system") if not entry.path.is_symlink() else link(path, entry)


def single(packages: Packages, names: Iterable[str], triplet: str) -> Iterator[Record]:
    """Return single files, each given as PACKAGE:PATH ({triplet} stands for that of the architecture). Raises Failure: the package has no such file."""
    for name in names:
        package, _, path = name.replace("{triplet}", triplet).partition(":")
        entry = packages.find(path)
        if entry is None or entry.package != package:
            raise Failure(f"pack {path}", f"package {package} has none")
        yield taken(merged(path), entry, "system")


def overlay(folder: Path) -> dict[str, File]:
    """Return the records of a profile's own files, by path."""
    found = {}
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = f"/{source.relative_to(folder)}"
        found[path] = File(path=path, mode=services.mode(source), data=source.read_bytes(), group="services")
    return found


def link(path: str, entry: Entry) -> Link:
    """Return the record of a package's link."""
    return Link(path=path, target=str(entry.path.readlink()), package=entry.package)


def assemble(
    board: Board, profile: Profile, sources: Sources, packages: Packages,
    *, python: Python, busybox: Busybox, kernel_tree: Path, kernel_package: str, time: int,
    others: Mapping[str, Distribution], required: Iterable[str] = (),
) -> Tree:  # fmt: skip
    """Return the whole tree of an image. Raises Failure as its parts do, and for a Python source in it."""
    tree = Tree(system(board, time))
    triplet = architecture(board.architecture).triplet
    tree.update(single(packages, profile.programs, triplet))
    tree.update(interpreter(packages, suite(board.suite).python))
    tree.update(ours(sources, python))
    tree.update(whole(packages, sorted({*board.packages, *profile.packages})))
    own = overlay(profile.files)
    tree.update(record for record in supervised(board, profile, sources) if record.path not in own)
    tree.update(own.values())
    extra = (*profile.python, *board.python, *required)
    modules = wanted(sources, scripts(tree.by_path.values()), extra, packages, python, others)
    tree.update(stdlib(modules.values(), packages, python, others))
    tree.update(drivers(board, profile, kernel_tree, kernel_package))
    bin_names = [posixpath.basename(path) for path in tree.by_path if posixpath.dirname(path) == "/usr/bin"]
    tree.update(applets(busybox, bin_names))
    tree.update(libraries(list(tree.by_path.values()), packages, triplet))
    for path in tree.by_path:
        if path.endswith(".py"):
            raise Failure(
                f"pack {path}",
                "Python sources have no place in an image",
                "without the ending .py it is a program",
            )
    return tree
