"""The Python that builds for a target's: of the same minor version, this host's own or Debian's, unpacked and made to run here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import host, store
from board.apt import Root
from board.architecture import SUITES, architecture
from board.busybox import native
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from board.apt import File

PROBE = "import ensurepip, ssl, sys; print(sys.version_info[:2] == ({}, {}))"
WHEELS = "/usr/share/python-wheels/"


@dataclass(frozen=True, slots=True)
class Builder:
    """A Python that runs here and has crossenv."""

    command: tuple[str, ...]
    site: Path  # where crossenv is installed
    key: str


def builder(version: str, own: str = "") -> Builder:
    """Return a Python of that minor version, with crossenv. OWN is a folder that may have one. Raises Failure as downloads do."""
    places = [own, *os.environ.get("PATH", "").split(":")]
    program = next((path for path in candidates(version, places) if works(path, version)), None)
    program = program or unpacked(version)
    said = host.run([program, "--version"], what="ask Python for its version").decode().strip()
    key = hashlib.sha256(f"{program} {said}".encode()).hexdigest()[:16]
    from board.crossenv import TOOL

    site = host.cache() / "crossenv" / f"tool-{version}-{TOOL}-{key}"
    if not site.exists():
        with host.folder(site) as temporary:
            words = [program, "-m", "venv", f"{temporary}/.venv"]
            host.run(words, what="make an environment for crossenv")
            pip = [
                f"{temporary}/.venv/bin/python",
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            ]
            host.run([*pip, "--target", str(temporary), TOOL], what=f"install {TOOL}")
            shutil.rmtree(temporary / ".venv")
    return Builder((program,), site, key)


def candidates(version: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield the programs of that name in these folders."""
    for folder in folders:
        path = f"{folder}/python{version}"
        if os.access(path, os.X_OK):
            yield path


def works(program: str, version: str) -> bool:
    """Say whether it is that version, and has what virtual environments need; a shim of a version manager may not."""
    words = [program, "-c", PROBE.format(*version.split("."))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "True"


def unpacked(version: str) -> str:
    """Return Debian's Python of that version, made to run with its own C library. The path is final: it is written into the binary."""
    suite = next((each.name for each in SUITES.values() if each.python == version), "")
    if not suite:
        hint = f"have python{version} with venv and ssl in PATH; in Buildroot: BR2_PACKAGE_HOST_PYTHON3_SSL=y"
        raise Failure(f"find a Python {version} for this host", "none that works, and Debian has none", hint)
    host.need(["patchelf"])
    arch = architecture(native())
    root = Root(suite, arch.name)
    names = [f"+python{version}", f"+libpython{version}-stdlib", f"+python{version}-minimal", f"python{version}-venv",
             "python3-pip-whl", "python3-setuptools-whl", "+libpython3-stdlib"]  # fmt: skip
    files = store.resolve(root, names)
    key = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:16]
    path = host.cache() / "python" / f"build-{suite}-{arch.name}-{key}"
    with store.lock(f"build-python-{key}"):
        if not (path / "complete").exists():
            shutil.rmtree(path, ignore_errors=True)
            store.fetch(root, files)
            prepare(path, files, version, arch.triplet)
    return f"{path}/usr/bin/python{version}"


def prepare(path: Path, files: list[File], version: str, triplet: str) -> None:
    """Unpack, and have loader, libraries and pip's wheels found where they are now."""
    path.mkdir(parents=True)
    for file in files:
        host.run(["dpkg-deb", "--extract", store.place(file), path], what=f"unpack {file.package}")
    library = path / "usr/lib" / triplet
    loader = next(iter(sorted(library.glob("ld-linux*.so.*"))))
    program = path / "usr/bin" / f"python{version}"
    words = [
        "patchelf",
        "--set-interpreter",
        str(loader),
        "--set-rpath",
        str(library),
        "--force-rpath",
        str(program),
    ]
    host.run(words, what="prepare Python for this host")
    for config in (path / f"usr/lib/python{version}").glob("_sysconfigdata*.py"):
        config.write_text(config.read_text().replace(f"'{WHEELS}'", f"'{path}{WHEELS}'"))
    (path / "complete").touch()
