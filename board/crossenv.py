"""A cross virtual environment for a board's Python: `cross-pip` in it installs for the board, C extensions included.

    env = crossenv(board)                       # from Debian's packages, unpacked
    env = crossenv(board, buildroot=OUTPUT)     # from a Buildroot output directory
    install(env, ["msgpack"], folder)

Everything is in the cache, by what it is made of; environments have absolute paths, so they are made where they stay.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import host, store
from board.architecture import architecture, suite
from board.busybox import native, tools
from board.busybox import packages as compilers
from board.crossenv_python import Builder, builder
from board.crossenv_root import sysroot
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from board.architecture import Architecture
    from board.model import Board

TOOL = "crossenv==1.6.2"
# The same on both sides: a cross-pip that differs from build-pip breaks, and an old setuptools hides newer ones.
BASICS = ("pip==24.3.1", "setuptools==75.6.0", "wheel==0.45.1")


@dataclass(frozen=True, slots=True)
class Environment:
    """A cross virtual environment."""

    path: Path
    version: str  # of Python: 3.13
    machine: int  # ELF's number of the processor that its extension modules are for

    def words(self, *command: str) -> list[str]:
        """Return the command line that runs a command in it."""
        return ["bash", "-c", '. "$0/bin/activate" && exec "$@"', str(self.path), *command]


MACHINES = {"amd64": 62, "arm64": 183, "armhf": 40, "mipsel": 8, "riscv64": 243}  # elf(5), e_machine


def crossenv(board: Board, buildroot: Path | None = None) -> Environment:
    """Return the board's cross environment, made now unless it is there. Raises Failure."""
    arch = architecture(board.architecture)
    own = ""
    if buildroot is not None:
        output = buildroot.resolve()
        target, wrappers, own = output_python(output), "", f"{output}/host/bin"
        version = target.name.removeprefix("python")
        key = f"buildroot-{identity(str(output), *told(output, version))}"
    else:
        host.need(sorted({*compilers(arch), "gcc", "libc6-dev"}))
        version = suite(board.suite).python
        root = sysroot(board.suite, arch)
        target, key, wrappers = root / "usr/bin" / f"python{version}", root.name, str(wrapper(arch, root))
    build = builder(version, own)
    path = (
        host.cache() / "crossenv" / f"{key}-{identity(build.key, TOOL, *BASICS, Path(__file__).read_text())}"
    )
    with store.lock(f"crossenv-{path.name}"):
        if not (path / "complete").exists():
            make(path, build, target, wrappers)
    return Environment(path, version, MACHINES[arch.name])


def identity(*words: str) -> str:
    """Return a short name for some words."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def output_python(output: Path) -> Path:
    """Return the target's Python in a Buildroot output directory. Raises Failure: it has none, or is not built yet."""
    found = sorted((output / "staging/usr/bin").glob("python3.[0-9]*[0-9]"))
    if not found:
        why = "it has no staging/usr/bin/python3.X"
        raise Failure(
            f"use {output}", why, "BR2_PACKAGE_PYTHON3=y, and let the build come to its end", usage=True
        )
    return found[0]


def told(output: Path, version: str) -> list[str]:
    """Return what the target's Python in a Buildroot output directory knows of its compiler: a rebuild may change it."""
    found = sorted((output / f"staging/usr/lib/python{version}").glob("_sysconfigdata*.py"))
    return [path.read_text() for path in found]


def wrapper(arch: Architecture, root: Path) -> Path:
    """Return a folder with compilers by the names that the target's Python knows, which use the sysroot."""
    folder = root.with_name(f"{root.name}.tools")
    prefix, _ = tools(arch, native())
    named = f"{arch.triplet}-"
    for tool, options in (
        ("gcc", f"--sysroot={root}"),
        ("g++", f"--sysroot={root}"),
        ("ar", ""),
        ("strip", ""),
    ):
        text = (
            f'#!/bin/sh\nexec {prefix}{tool} {options} "$@"\n'
            if options
            else f'#!/bin/sh\nexec {prefix}{tool} "$@"\n'
        )
        program = shutil.which(f"{prefix}{tool}")
        if program:  # a wrapper of the same name must not call itself
            host.replace(
                folder / f"{named}{tool}",
                text.replace(f"exec {prefix}{tool}", f"exec {program}").encode(),
                0o755,
            )
    return folder


def make(path: Path, build: Builder, target: Path, wrappers: str) -> None:
    """Make the environment, with the same pip and setuptools on both sides."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    search = f"{wrappers}:{os.environ.get('PATH', '')}"
    env = {"PATH": search, "PYTHONPATH": str(build.site), "PYTHONNOUSERSITE": "1"}
    host.run(
        [*build.command, "-m", "crossenv", target, path],
        what=f"make a cross environment for {target.name}",
        env=env,
    )
    if wrappers:
        activate = path / "bin/activate"
        activate.write_text(f'PATH="{wrappers}:$PATH"\n{activate.read_text()}')
    found = Environment(path, "", 0)
    for pip in ("build-pip", "cross-pip"):
        words = found.words(pip, "--disable-pip-version-check", "install", "--quiet", "--upgrade", *BASICS)
        host.run(words, what=f"have {' '.join(BASICS)} in {pip}")
    (path / "complete").touch()


def install(env: Environment, requirements: Sequence[str], folder: Path) -> list[Path]:
    """Install requirements for the target into a folder, those with C from source; return the extension modules.

    Raises Failure: something does not build, or an extension module is for another processor.
    """
    # no cache: it may hold a wheel whose optional extension could not be built, and pip would take it silently
    words = ["cross-pip", "--disable-pip-version-check", "--no-cache-dir", "install", "--quiet", "--upgrade",
             "--no-compile", "--target", str(folder), *requirements]  # fmt: skip
    host.run(
        env.words(*words),
        what=f"install {' '.join(requirements)} for the board",
        env={"PYTHONNOUSERSITE": "1"},
    )
    found = sorted(folder.rglob("*.so"))
    for path in found:
        machine = int.from_bytes(path.read_bytes()[18:20], "little")
        if machine != env.machine:
            why = f"{path.name} is for the processor {machine}, not {env.machine} (e_machine)"
            raise Failure(f"install {' '.join(requirements)}", why)
    return found


def suffix() -> str:
    """Return the ending of this host's own extension modules, for messages."""
    return str(sysconfig.get_config_var("EXT_SUFFIX"))
