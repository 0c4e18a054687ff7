"""What of this repository goes into an image, and our package in it: bytecode, the launcher with its links, /init."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import bytecode
from board.host import ROOT, Failure
from board.tree import File, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from board.bytecode import Python

LAUNCHER = b"#!/usr/bin/python3 -IS\nfrom initfs.main import main\n\nraise SystemExit(main())\n"


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

    def inputs(self) -> Iterator[tuple[str, Path]]:
        """Return all that may reach the image: files, directories, which may be empty, and links, each with its place in the folders."""
        for number, folder in enumerate((self.package, self.services, self.ports)):
            for path in sorted(folder.rglob("*")):
                if "__pycache__" not in path.parts:
                    yield f"{number}/{path.relative_to(folder)}", path

    def programs(self) -> dict[str, str]:
        """Return initfs.programs.PROGRAMS, read and not run. Raises Failure if a program's module is not there."""
        found: dict[str, str] = literal(self.package / "programs.py", "PROGRAMS")
        there = self.modules()
        for name, module in found.items():
            if module not in there:
                raise Failure(
                    f"pack program {name!r}", f"its module {module} does not exist", "see initfs/programs.py"
                )
        return found


def literal(path: Path, name: str) -> dict[str, str]:
    """Return the dictionary that a module assigns to a name."""
    for node in ast.parse(path.read_text()).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if (
            isinstance(target, ast.Name)
            and target.id == name
            and isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value
        ):
            return dict(ast.literal_eval(node.value))
    raise Failure(f"read {path.name}", f"it does not assign {name}")


def ours(sources: Sources, python: Python) -> Iterator[Record]:
    """Return our package, its launcher with a link for each program, and /init."""
    home = f"/usr/lib/python{python.version}"
    names = [
        str(path.relative_to(sources.package.parent).with_suffix("")) for path in sources.modules().values()
    ]
    code = bytecode.compiled(
        python,
        [
            bytecode.Source(path, f"{home}/{name}.py")
            for path, name in zip(sources.modules().values(), names, strict=True)
        ],
    )
    for name, data in zip(names, code, strict=True):
        yield File(path=f"{home}/{name}.pyc", data=data, group="ours")
    for path in sorted(sources.package.rglob("*")):
        if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "stage1.sh":
            yield File(
                path=f"{home}/{path.relative_to(sources.package.parent)}",
                data=path.read_bytes(),
                group="ours",
            )
    stage1 = sources.package / "pid1" / "stage1.sh"
    if not stage1.is_file():
        raise Failure("pack /init", "initfs/pid1/stage1.sh does not exist")
    yield File(path="/init", mode=0o755, data=stage1.read_bytes(), group="ours")
    yield File(path="/usr/bin/initfs", mode=0o755, data=LAUNCHER, group="ours")
    for name in sources.programs():
        yield Link(path=f"/usr/bin/{name}", target="initfs", group="ours")
