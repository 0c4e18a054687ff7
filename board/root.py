"""The root file system of an image, part by part: each function returns the records of one part.

`docs/image.md` is the contract these keep.
"""
from __future__ import annotations

import ast
import posixpath
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import bytecode, kernel, services
from board.architecture import architecture, suite
from board.closure import Module, closure
from board.elf import MAGIC, Elf
from board.host import ROOT, Failure
from board.tree import Directory, File, Link, Node, Record, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from board.busybox import Busybox
    from board.bytecode import Python
    from board.model import Board, Profile
    from board.packages import Entry, Packages

SKELETON = Path(__file__).resolve().parent / "skeleton"
LAUNCHER = b"#!/usr/bin/python3 -IS\nfrom initfs.main import main\n\nraise SystemExit(main())\n"
LINKS = {"/bin": "usr/bin", "/sbin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64", "/usr/sbin": "bin",
         "/etc/resolv.conf": "/run/resolv.conf", "/etc/mtab": "/proc/mounts", "/var/run": "/run"}  # fmt: skip
FOLDERS = {"/dev": 0o755, "/proc": 0o555, "/sys": 0o555, "/run": 0o755, "/tmp": 0o1777, "/root": 0o700, "/mnt": 0o755,
           "/usr/lib64": 0o755, "/etc/initfs/early": 0o755, "/etc/initfs/service": 0o755}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What of this repository goes into an image; tests give folders of their own."""

    package: Path = ROOT / "initfs"
    services: Path = ROOT / "services"
    ports: Path = ROOT / "qemu" / "services"

    def modules(self) -> dict[str, Path]:
        """Return our package's modules by name (packages by the name of the folder)."""
        found = {}
        for path in sorted(self.package.rglob("*.py")):
            parts = path.relative_to(self.package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found

    def files(self) -> list[Path]:
        """Return every file that may reach the image, sorted."""
        folders = (self.package, self.services, self.ports)
        return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

    def programs(self) -> dict[str, str]:
        """Return initfs.programs.PROGRAMS, read and not run. Raises Failure if a program's module is not there."""
        found: dict[str, str] = literal(self.package / "programs.py", "PROGRAMS")
        there = self.modules()
        for name, module in found.items():
            if module not in there:
                raise Failure(f"pack program {name!r}", f"its module {module} does not exist", "see initfs/programs.py")
        return found


def literal(path: Path, name: str) -> dict[str, str]:
    """Return the dictionary that a module assigns to a name."""
    for node in ast.parse(path.read_text()).body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == name and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            return dict(ast.literal_eval(node.value))
    raise Failure(f"read {path.name}", f"it does not assign {name}")


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


def fragment(board: Board, time: int) -> str:
    """Return /etc/initfs/board: what run scripts may want to know of the machine, for the shell to read."""
    values = {"BOARD": board.name, "ARCHITECTURE": board.architecture, "CONSOLE": board.console, "BAUD": board.baud, "IMAGE_TIME": time}
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def interpreter(packages: Packages, version: str) -> Iterator[Record]:
    """Return Python itself."""
    entry = packages.find(f"/usr/bin/python{version}")
    if entry is None:
        raise Failure("pack Python", f"python{version}-minimal has no /usr/bin/python{version}")
    yield taken(f"/usr/bin/python{version}", entry, "interpreter")
    yield Link(path="/usr/bin/python3", target=f"python{version}", package=entry.package, group="interpreter")
    # an empty one keeps the interpreter from complaining that it has none
    yield Directory(path=f"/usr/lib/python{version}/lib-dynload", package=entry.package, group="interpreter")


def taken(path: str, entry: Entry, group: str) -> File:
    """Return the record of a package's file."""
    return File(path=path, mode=services.mode(entry.path), data=entry.path.read_bytes(), package=entry.package, group=group)


def finder(packages: Packages, version: str) -> Callable[[str], Module | None]:
    """Return the look-up of library modules in the packages."""
    home = f"/usr/lib/python{version}"
    extensions = {
        posixpath.basename(path).partition(".")[0]: entry.path
        for path, entry in packages.entries.items()
        if path.startswith(f"{home}/lib-dynload/") and path.endswith(".so")
    }

    def find(name: str) -> Module | None:
        path = f"{home}/{name.replace('.', '/')}"
        for end, package in (("/__init__.py", True), (".py", False)):
            if entry := packages.find(path + end):
                return Module(name, entry.path, package)
        return Module(name, extensions[name], package=False) if name in extensions else None

    return find


def wanted(sources: Sources, profile: Profile, board: Board, packages: Packages, python: Python) -> dict[str, Module]:
    """Return the library modules that our package, the Python programs of services, board and profile need."""
    own = {name: (path.read_text(), path.name == "__init__.py") for name, path in sources.modules().items()}
    for path in sources.files():
        if path.is_relative_to(sources.package):
            continue
        if path.read_bytes()[:64].startswith(b"#!") and b"python" in path.read_bytes().split(b"\n")[0]:
            own[str(path)] = (path.read_text(), False)
    return closure(own, (*profile.python, *board.python), finder(packages, python.version), bytecode.inside(python))


def stdlib(modules: Iterable[Module], packages: Packages, python: Python) -> Iterator[Record]:
    """Return the library: bytecode for the Python modules, extension modules as they are."""
    home = f"/usr/lib/python{python.version}"
    origin = {entry.path: entry.package for entry in packages.entries.values()}
    plain = [module for module in modules if not module.extension]
    targets = [f"{home}/{module.name.replace('.', '/')}{'/__init__' if module.package else ''}" for module in plain]
    code = bytecode.compiled(python, [bytecode.Source(module.path, f"{target}.py") for module, target in zip(plain, targets, strict=True)])
    for module, target, data in zip(plain, targets, code, strict=True):
        yield File(path=f"{target}.pyc", data=data, package=origin[module.path], group="stdlib")
    for module in modules:
        if module.extension:
            path = f"{home}/lib-dynload/{module.path.name}"
            yield File(path=path, data=module.path.read_bytes(), package=origin[module.path], group="stdlib")


def ours(sources: Sources, python: Python) -> Iterator[Record]:
    """Return our package, its launcher with a link for each program, and /init."""
    home = f"/usr/lib/python{python.version}"
    names = [str(path.relative_to(sources.package.parent).with_suffix("")) for path in sources.modules().values()]
    code = bytecode.compiled(
        python, [bytecode.Source(path, f"{home}/{name}.py") for path, name in zip(sources.modules().values(), names, strict=True)]
    )
    for name, data in zip(names, code, strict=True):
        yield File(path=f"{home}/{name}.pyc", data=data, group="ours")
    for path in sorted(sources.package.rglob("*")):
        if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "stage1.sh":
            yield File(path=f"{home}/{path.relative_to(sources.package.parent)}", data=path.read_bytes(), group="ours")
    stage1 = sources.package / "pid1" / "stage1.sh"
    if not stage1.is_file():
        raise Failure("pack /init", "initfs/pid1/stage1.sh does not exist")
    yield File(path="/init", mode=0o755, data=stage1.read_bytes(), group="ours")
    yield File(path="/usr/bin/initfs", mode=0o755, data=LAUNCHER, group="ours")
    for name in sources.programs():
        yield Link(path=f"/usr/bin/{name}", target="initfs", group="ours")


def applets(busybox: Busybox, taken_names: Iterable[str]) -> Iterator[Record]:
    """Return busybox, and a link for each applet whose name nobody else has."""
    common = {"package": "busybox", "group": "busybox"}
    yield File(path="/usr/bin/busybox", mode=0o755, data=busybox.program.read_bytes(), package="busybox", group="busybox")
    for name in sorted({*busybox.applets} - {*taken_names, "busybox"}):
        yield Link(path=f"/usr/bin/{name}", target="busybox", package=common["package"], group=common["group"])


def supervised(board: Board, profile: Profile, sources: Sources) -> Iterator[Record]:
    """Return the profile's services, and the scripts of stage 2 and stage 3."""
    folders = [sources.services, sources.ports]
    extra = ("agent", "events-port") if board.ports else ()
    for where, names in (("early", profile.early), ("service", (*profile.services, *extra))):
        for name in (name.format(console=board.console) for name in names):
            yield from services.records(f"/etc/initfs/{where}/{name}", services.locate(name, folders))
    for name in ("rc.init", "rc.shutdown"):
        path = sources.services / name
        if not path.is_file():
            raise Failure(f"pack {name}", f"services/{name} does not exist")
        yield File(path=f"/etc/initfs/{name}", mode=0o755, data=path.read_bytes(), group="services")


def drivers(board: Board, tree: Path, package: str) -> Iterator[Record]:
    """Return the kernel modules, and the list in load order."""
    modules = kernel.modules(tree, board.modules)
    for path, data in modules.items():
        yield File(path=path, data=data, package=package, group="modules")
    yield File(path="/etc/initfs/modules", data="".join(f"{path}\n" for path in modules).encode(), group="system")


def libraries(records: Sequence[Record], packages: Packages, triplet: str) -> Iterator[Record]:
    """Return the loaders and libraries that the programs among the records need, and those these need.

    Raises Failure naming the program and the library which no package of the image has.
    """
    unread = [record for record in records if isinstance(record, File) and record.group != "modules" and record.data[:4] == MAGIC]
    there = {posixpath.basename(record.path) for record in unread}
    # loaders first: libraries need them as well, but by name, and programs by path
    wanted: list[tuple[File, tuple[str, ...]]] = [(record, (merge(Elf(record.data).interpreter()),)) for record in unread if Elf(record.data).interpreter()]
    while wanted or unread:
        if not wanted:
            record = unread.pop()
            wanted = [(record, (f"/usr/lib/{triplet}/{name}", f"/usr/lib/{name}")) for name in Elf(record.data).needed()]
            continue
        record, places = wanted.pop()
        name = posixpath.basename(places[0])
        if name not in there:
            library = supplied(packages, places, record)
            there.add(name)
            unread.append(library)
            yield library


def supplied(packages: Packages, places: Sequence[str], user: Record) -> File:
    """Return the library that some package has at one of the places."""
    for path in places:
        if entry := packages.find(path):
            return taken(path, entry, "libraries")
    name = posixpath.basename(places[0])
    raise Failure(f"pack {user.path} (of {user.package})", f"it needs {name}, which no package of the image has")


def merge(path: str) -> str:
    """Return where a loader's path leads in the image: /lib and /lib64 are links into /usr."""
    return f"/usr{path}" if path.startswith(("/lib/", "/lib64/")) else path


def whole(packages: Packages, names: Iterable[str]) -> Iterator[Record]:
    """Return the files of the packages a board or profile asks for."""
    for name in names:
        for path, entry in packages.content(name):
            yield taken(path, entry, "system") if not entry.path.is_symlink() else link(path, entry)


def link(path: str, entry: Entry) -> Link:
    """Return the record of a package's link."""
    return Link(path=path, target=str(entry.path.readlink()), package=entry.package)


def assemble(
    board: Board, profile: Profile, sources: Sources, packages: Packages,
    *, python: Python, busybox: Busybox, kernel_tree: Path, kernel_package: str, time: int,
) -> Tree:  # fmt: skip
    """Return the whole tree of an image. Raises Failure as its parts do, and for a Python source in it."""
    tree = Tree(system(board, time))
    tree.update(interpreter(packages, suite(board.suite).python))
    tree.update(stdlib(wanted(sources, profile, board, packages, python).values(), packages, python))
    tree.update(ours(sources, python))
    tree.update(whole(packages, sorted({*board.packages, *profile.packages})))
    tree.update(supervised(board, profile, sources))
    tree.update(drivers(board, kernel_tree, kernel_package))
    bin_names = [posixpath.basename(path) for path in tree.by_path if posixpath.dirname(path) == "/usr/bin"]
    tree.update(applets(busybox, bin_names))
    tree.update(libraries(list(tree.by_path.values()), packages, architecture(board.architecture).triplet))
    for path in tree.by_path:
        if path.endswith(".py"):
            raise Failure(f"pack {path}", "Python sources have no place in an image", "without the ending .py it is a program")
    return tree
