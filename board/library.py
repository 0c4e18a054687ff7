"""The interpreter, its library, and the shared libraries of everything: what our code needs and no more."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from board import bytecode, pypi, services
from board.closure import Module, closure
from board.elf import MAGIC, Elf
from board.host import Failure
from board.ours import literal
from board.tree import Directory, File, Link, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from board.bytecode import Python
    from board.ours import Sources
    from board.packages import Entry, Packages
    from board.pypi import Distribution


def interpreter(packages: Packages, version: str) -> Iterator[Record]:
    """Return Python itself."""
    entry = packages.find(f"/usr/bin/python{version}")
    if entry is None:
        raise Failure("pack Python", f"python{version}-minimal has no /usr/bin/python{version}")
    yield taken(f"/usr/bin/python{version}", entry, "interpreter")
    yield Link(path="/usr/bin/python3", target=f"python{version}", package=entry.package, group="interpreter")
    # an empty one keeps the interpreter from complaining that it has none
    yield Directory(path=f"/usr/lib/python{version}/lib-dynload", package=entry.package, group="interpreter")


def finder(
    packages: Packages, version: str, others: Mapping[str, Distribution]
) -> Callable[[str], Module | None]:
    """Return the look-up of library modules in the Debian packages, then in those that are not Debian's."""
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
        if name in extensions:
            return Module(name, extensions[name], package=False)
        return pypi.find(name, others)

    return find


def scripts(records: Iterable[Record]) -> dict[str, str]:
    """Return the Python programs among the records, by path: files that the kernel hands to an interpreter of that name."""
    return {
        record.path: record.data.decode()
        for record in records
        if isinstance(record, File)
        and record.data[:2] == b"#!"
        and b"python" in record.data.partition(b"\n")[0]
    }


def wanted(
    sources: Sources, programs: Mapping[str, str], extra: Iterable[str], packages: Packages, python: Python,
    others: Mapping[str, Distribution],
) -> dict[str, Module]:  # fmt: skip
    """Return the library modules that our package and the Python programs of services need, and `extra` ones."""
    own = {name: (path.read_text(), path.name == "__init__.py") for name, path in sources.modules().items()}
    own |= {path: (source, False) for path, source in programs.items()}
    netlink = sources.package / "network" / "netlink.py"
    without: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    if netlink.is_file():
        without = (*pypi.HOLLOW, *literal(netlink, "REPLACED"))
        plugins = tuple(pypi.plugins(others))
    find = finder(packages, python.version, others)
    return closure(own, [*extra, *plugins], find, bytecode.inside(python), without)


def stdlib(
    modules: Iterable[Module], packages: Packages, python: Python, others: Mapping[str, Distribution]
) -> Iterator[Record]:
    """Return the library: bytecode for the Python modules, extension modules as they are."""
    home = f"/usr/lib/python{python.version}"
    origin = {entry.path: entry.package for entry in packages.entries.values()}
    every = list(modules)
    plain = [module for module in every if not module.extension]
    origin |= {
        module.path: module.name.partition(".")[0]
        for module in every
        if module.name.partition(".")[0] in others
    }
    targets = [
        f"{home}/{module.name.replace('.', '/')}{'/__init__' if module.package else ''}" for module in plain
    ]
    code = bytecode.compiled(
        python,
        [bytecode.Source(module.path, f"{target}.py") for module, target in zip(plain, targets, strict=True)],
    )
    for module, target, data in zip(plain, targets, code, strict=True):
        yield File(path=f"{target}.pyc", data=data, package=origin[module.path], group="stdlib")
    for module in every:
        if module.extension:
            debian = module.name.partition(".")[0] not in others
            folder = "/lib-dynload" if debian else f"/{module.name.replace('.', '/')}".rpartition("/")[0]
            path = f"{home}{folder}/{module.path.name}"
            yield File(path=path, data=module.path.read_bytes(), package=origin[module.path], group="stdlib")


def libraries(records: Sequence[Record], packages: Packages, triplet: str) -> Iterator[Record]:
    """Return the loaders and libraries that the programs among the records need, and those these need.

    Raises Failure naming the program and the library which no package of the image has.
    """
    unread = [
        record
        for record in records
        if isinstance(record, File) and record.group != "modules" and record.data[:4] == MAGIC
    ]
    there = {posixpath.basename(record.path) for record in unread}
    # loaders first: libraries need them as well, but by name, and programs by path
    wanted: list[tuple[File, tuple[str, ...]]] = [
        (record, (merge(Elf(record.data).interpreter()),))
        for record in unread
        if Elf(record.data).interpreter()
    ]
    while wanted or unread:
        if not wanted:
            record = unread.pop()
            wanted = [
                (record, (f"/usr/lib/{triplet}/{name}", f"/usr/lib/{name}"))
                for name in Elf(record.data).needed()
            ]
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
    raise Failure(
        f"pack {user.path} (of {user.package})", f"it needs {name}, which no package of the image has"
    )


def merge(path: str) -> str:
    """Return where a loader's path leads in the image: /lib and /lib64 are links into /usr."""
    return f"/usr{path}" if path.startswith(("/lib/", "/lib64/")) else path


def taken(path: str, entry: Entry, group: str) -> File:
    """Return the record of a package's file."""
    return File(
        path=path,
        mode=services.mode(entry.path),
        data=entry.path.read_bytes(),
        package=entry.package,
        group=group,
    )
