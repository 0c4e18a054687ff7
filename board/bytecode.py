"""Bytecode for the target's Python, made by the same Python of the same suite for this host.

Bytecode differs between minor versions, so Debian's own interpreter is unpacked into the cache for the host's
architecture and run through its own loader: nothing is installed, and the host's Python does not matter.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import busybox, host, store
from board.apt import Root
from board.architecture import architecture, suite

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPILER = Path(__file__).resolve().parent / "compiler.py"
ASK = "import _imp, json, sys; print(json.dumps(sorted({*sys.builtin_module_names, *_imp._frozen_module_names()})))"


@dataclass(frozen=True, slots=True)
class Python:
    """A suite's interpreter that runs on this host."""

    tree: Path
    version: str  # minor: 3.13
    triplet: str
    key: str  # changes with the interpreter

    def command(self) -> list[str]:
        """Return how to start it: by its own loader with its own libraries, alone (-I -S)."""
        libraries = [self.tree / "usr/lib" / self.triplet, self.tree / "lib" / self.triplet]
        loaders = [loader for library in libraries for loader in sorted(library.glob("ld-linux*.so.*"))]
        program = f"{self.tree}/usr/bin/python{self.version}"
        path = ":".join(str(library) for library in libraries)
        return [str(loaders[0]), "--library-path", path, "--argv0", program, program, "-I", "-S"]


@dataclass(frozen=True, slots=True)
class Source:
    """One file to compile."""

    path: Path
    shown: str  # its name in tracebacks

    def level(self) -> int:
        """Return the optimisation level: 2 drops docstrings, which the target only pays for (process 1 keeps
        them in memory), unless the module reads its own.
        """
        return 1 if b"__doc__" in self.path.read_bytes() else 2


def names(version: str) -> list[str]:
    """Return the Debian packages an interpreter is in."""
    return [
        "libc6",
        f"libpython{version}-minimal",
        f"libpython{version}-stdlib",
        f"python{version}-minimal",
        "libexpat1",
        "zlib1g",
    ]


def python(suite_name: str, *, refresh: bool = False) -> Python:
    """Return the suite's Python for this host, unpacked into the cache."""
    native = architecture(busybox.native())
    version = suite(suite_name).python
    root = Root(suite_name, native.name)
    files = store.resolve(root, names(version), refresh=refresh)
    key = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:32]
    path = host.cache() / "python" / f"{suite_name}-{native.name}-{key}"
    if not path.exists():
        store.fetch(root, files)
        with host.failing("unpack Python for this host"), host.folder(path) as temporary:
            for file in files:
                host.run(
                    ["dpkg-deb", "--extract", store.place(file), temporary], what=f"unpack {file.package}"
                )
    return Python(path, version, native.triplet, key)


def inside(interpreter: Python) -> list[str]:
    """Return the names of the modules that are in the interpreter's binary (built in, or frozen)."""
    record = host.cache() / "python" / f"{interpreter.tree.name}.inside.json"
    if not record.exists():
        host.replace(
            record, host.run([*interpreter.command(), "-c", ASK], what="ask Python for its built-in modules")
        )
    found: list[str] = json.loads(record.read_text())
    return found


def compiled(interpreter: Python, sources: Sequence[Source]) -> list[bytes]:
    """Return the bytecode of each source, from the cache where it is there."""
    outputs = [place(interpreter, source) for source in sources]
    jobs = [
        json.dumps([str(source.path), source.shown, source.level(), str(output)])
        for source, output in zip(sources, outputs, strict=True)
        if not output.exists()
    ]
    if jobs:
        with host.failing("keep bytecode"):
            outputs[0].parent.mkdir(parents=True, exist_ok=True)
        host.run(
            [*interpreter.command(), str(COMPILER)],
            what="compile Python sources",
            stdin="\n".join(jobs).encode(),
        )
    return [output.read_bytes() for output in outputs]


def place(interpreter: Python, source: Source) -> Path:
    """Return where the bytecode of a source is kept: by interpreter, compiler, content and shown name."""
    parts = (interpreter.key.encode(), COMPILER.read_bytes(), source.shown.encode(), source.path.read_bytes())
    name = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return host.cache() / "bytecode" / f"{name}.pyc"
