"""Which modules of Python's library the target needs: the closure of what our code imports, read and not run.

Our own code is followed everywhere, also into its functions: it imports late on purpose. The library is
followed at module level only; what its functions import is for paths we do not take, and would bring in
half of it (a board or profile names such modules in `python = [...]` where they are wanted after all).
Blocks for type checkers and `if __name__ == "__main__"` in the library are skipped.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

# Modules whose importers do without them, and that cost more than they give: OpenSSL is 6 MB, and hashlib
# has its own SHA, asyncio does without its C, nothing on the target reads .bz2, .xz or a read-line history.
# Code of ours that imports one, or a board or profile that lists it, gets it.
OPTIONAL = frozenset(
    {
        "_hashlib",
        "_ssl",
        "ssl",
        "bz2",
        "_bz2",
        "lzma",
        "_lzma",
        "readline",
        "_curses",
        "_sqlite3",
        "_testcapi",
        "_asyncio",
        "_pydatetime",  # datetime is C, and built in
    }
)
# Needed by the interpreter itself: the text encodings of start and of open(), and `os`, which is built in
# but whose file is the mark by which the interpreter finds its library; `python3 -c` needs linecache (3.13).
START = (
    "os",
    "encodings",
    "encodings.aliases",
    "encodings.utf_8",
    "encodings.ascii",
    "encodings.latin_1",
    "linecache",
)

STATEMENT = re.compile(r"^(?:import|from) (?:[^(\n]*\([^)]*\)|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the closure. An extension module has no source to follow."""

    name: str
    path: Path
    package: bool  # a package's __init__

    @property
    def extension(self) -> bool:
        """Say whether it is compiled C."""
        return self.path.suffix == ".so"


@dataclass(frozen=True, slots=True)
class Import:
    """One import: of a name that must be a module, or (`maybe`) may be only an attribute of one."""

    name: str
    maybe: bool = False  # guarded by try, or the b of `from a import b`


def imports(source: str, name: str, *, package: bool, own: bool) -> list[Import]:
    """Return what a module imports. `own`: follow functions too (and the part for running it as a program)."""
    found: list[Import] = []
    for node, guarded in statements(parsed(source, own=own).body, own=own, guarded=False):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, guarded) for alias in node.names]
        else:
            base = absolute(node, name, package=package)
            found.append(Import(base, guarded))
            found += [Import(f"{base}.{alias.name}", maybe=True) for alias in node.names if alias.name != "*"]
    return found


def parsed(source: str, *, own: bool) -> ast.Module:
    """Return the syntax tree. Of a library that is newer than the Python that builds, which may not know its syntax,
    at least the import statements that begin a line.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        if own:
            raise
    return ast.parse("\n".join(match[0] for match in STATEMENT.finditer(source)))


def absolute(node: ast.ImportFrom, name: str, *, package: bool) -> str:
    """Return the full name of the module in `from ..x import y`."""
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    keep = len(parts) - node.level + (1 if package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def statements(
    body: Iterable[ast.stmt], *, own: bool, guarded: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Walk to the import statements, telling which a `try` guards."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node, guarded
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not own:
                continue
            case ast.If() if skipped(node.test, own=own):
                yield from statements(node.orelse, own=own, guarded=guarded)
            case _:
                inside = guarded or isinstance(node, ast.Try)
                yield from statements(children(node), own=own, guarded=inside)


def children(node: ast.stmt) -> Iterator[ast.stmt]:
    """Return the statements directly inside a statement, whatever its kind."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def skipped(test: ast.expr, *, own: bool) -> bool:
    """Say whether an `if` is for type checkers, or (in the library) for running a module as a program."""
    text = ast.unparse(test)
    return text in {"TYPE_CHECKING", "typing.TYPE_CHECKING"} or (not own and text.startswith("__name__ =="))


def closure(
    own: Mapping[str, tuple[str, bool]],
    extra: Iterable[str],
    find: Callable[[str], Module | None],
    inside: Collection[str],
    without: Collection[str] = (),
) -> dict[str, Module]:
    """Return the library modules needed, by name.

    `own`: our sources by name, each with whether it is a package. `extra`: modules wanted beside. `find`: looks a
    name up in the target's library. `inside`: names that are in the interpreter's binary. `without`: names that our code
    replaces before anybody imports them.
    Raises Failure naming the importer and the module when code of ours imports what there is not.
    """
    search = Search(find, frozenset(inside), frozenset(without))
    for name in (*START, *extra):
        search.want(Import(name), "the list of the board or profile", required=True)
    packages = {name for name, (_, package) in own.items() if package}
    for name, (source, package) in own.items():
        for wanted in imports(source, name, package=package, own=True):
            if wanted.name.partition(".")[0] not in packages:
                search.want(wanted, name, required=not wanted.maybe)
            elif wanted.name not in own and not wanted.maybe:
                raise Failure(f"find our module {wanted.name!r}", f"{name} imports it, and it does not exist")
    search.drain()
    return dict(sorted(search.found.items()))


class Search:
    """The growing closure: what was found, and what is still to be read."""

    def __init__(
        self,
        find: Callable[[str], Module | None],
        inside: frozenset[str],
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.find, self.inside, self.without = find, inside, without
        self.found: dict[str, Module] = {}
        self.unread: list[Module] = []
        self.frozen: set[str] = set()

    def want(self, wanted: Import, importer: str, *, required: bool) -> None:
        """Take a module and the packages above it; one that is nowhere is an error only if `required`."""
        parts = wanted.name.split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if name in self.found or name in self.without:
                continue
            if self.builtin(name):
                self.follow_frozen(name)
                continue
            module = self.find(name)
            if module is None:
                if required and not self.attribute(name):
                    raise Failure(
                        f"find Python module {name!r}",
                        f"{importer} imports it, and the suite's library has none",
                    )
                return
            self.found[name] = module
            self.unread.append(module)

    def follow_frozen(self, name: str) -> None:
        """A module frozen into the binary needs no file, but what it imports may: importlib.util's importlib._abc."""
        if name not in self.frozen:
            self.frozen.add(name)
            module = self.find(name)
            if module is not None:
                self.unread.append(module)

    def builtin(self, name: str) -> bool:
        """Say whether the interpreter's binary has it. `os` has a file as well: see START."""
        return name in self.inside and name != "os"

    def attribute(self, name: str) -> bool:
        """Say whether a dotted name can only be an attribute, as os.path is."""
        parent = name.rpartition(".")[0]
        return bool(parent) and any(parent in known for known in (self.inside, self.found, self.without))

    def drain(self) -> None:
        """Follow the library's own imports until nothing new comes."""
        while self.unread:
            module = self.unread.pop()
            if module.extension:
                continue
            source = module.path.read_text(encoding="utf-8")
            for wanted in imports(source, module.name, package=module.package, own=False):
                # `from _hashlib import x` is an import of _hashlib.x, too
                if not OPTIONAL & {wanted.name, wanted.name.partition(".")[0]}:
                    self.want(wanted, module.name, required=False)
