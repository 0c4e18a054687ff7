"""busybox for the target: Debian's source package, cross-built static with the applets our services need.

Debian's own busybox-static has no supervision clients, no zcip, ifplugd, ntpd, tftpd, ftpd... so it is built
here: from its configuration and `busybox.config`. The result is kept by content of all that goes into it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board import host, store
from board.apt import Root
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from board.apt import File
    from board.architecture import Architecture
    from board.report import Report

SUITE = "trixie"  # for every board: its source builds with the older libraries as well
FRAGMENT = Path(__file__).resolve().parent / "busybox.config"
RECIPE = b"1"  # one more when what `make` does changes: results of the old way are then no longer used
SETTING = re.compile(r"(?:# )?(CONFIG_\w+)(?:=.*| is not set)$")


@dataclass(frozen=True, slots=True)
class Busybox:
    """A built busybox."""

    program: Path
    applets: tuple[str, ...]
    copyright: Path  # Debian's copyright file
    version: str


def settings(text: str) -> dict[str, str]:
    """Return the settings of a Kconfig file: the line that sets each name."""
    return {match[1]: line for line in text.splitlines() if (match := SETTING.match(line))}


def merge(base: str, fragment: str) -> str:
    """Return a configuration: `base` with the settings of `fragment` in place of its own."""
    return "".join(f"{line}\n" for line in (settings(base) | settings(fragment)).values())


def unmet(fragment: str, config: str) -> list[str]:
    """Return the settings that the configuration did not take: a misspelt name, or one that lacks what it needs.

    A name that is off is gone from the configuration when what it depends on is off: that counts as met.
    """
    have = settings(config)
    return [
        line for name, line in settings(fragment).items()
        if have.get(name, f"# {name} is not set") != line
    ]  # fmt: skip


def tools(architecture: Architecture, native: str) -> tuple[str, tuple[str, ...]]:
    """Return the prefix of the compiler's name and the packages it is in. On its own kind the host's compiler is it."""
    if architecture.name == native:
        return "", ("gcc", "libc6-dev")
    return architecture.tools, architecture.packages


def packages(architecture: Architecture) -> list[str]:
    """Return what the host needs to build busybox for an architecture: its build makes programs for the host too."""
    _, compiler = tools(architecture, native())
    return sorted({*compiler, "gcc", "libc6-dev", "make", "dpkg-dev", "bzip2", "xz-utils", "patch"})


def native() -> str:
    """Return this host's architecture, by Debian's name."""
    return host.run(["dpkg", "--print-architecture"], what="ask for the host's architecture").decode().strip()


def key(architecture: Architecture, files: Sequence[File]) -> str:
    """Return the name of a build: made of source, configuration, compiler and C library."""
    prefix, needed = tools(architecture, native())
    compiler = host.run([f"{prefix}gcc", "--version"], what="ask for the compiler's version").split(b"\n")[0]
    libraries = [name for name in needed if name.startswith("libc6")]
    query = ["dpkg-query", "--show", "--showformat", "${Version}\n", *libraries]
    versions = compiler + host.run(query, what="ask for the C library's version")
    parts = [
        RECIPE,
        architecture.name.encode(),
        versions,
        FRAGMENT.read_bytes(),
        *(file.sha256.encode() for file in files),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def build(architecture: Architecture, report: Report, *, refresh: bool = False) -> Busybox:
    """Return busybox for the architecture, built now unless it is in the cache."""
    root = Root(SUITE, "source")
    files = store.resolve_source(root, "busybox", refresh=refresh)
    path = host.cache() / "busybox" / f"{architecture.name}-{key(architecture, files)}"
    with store.lock("busybox"):  # one at a time: each uses all cores
        if not path.exists():
            with report.step(f"busybox for {architecture.name}"), host.failing("build busybox"):
                store.fetch(root, files)
                compile_into(path, architecture, files)
    applets = tuple((path / "applets").read_text().split())
    return Busybox(path / "busybox", applets, path / "copyright", files[0].version)


def compile_into(path: Path, architecture: Architecture, files: Sequence[File]) -> None:
    """Build in a temporary folder and put the result into the cache, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="busybox.") as temporary, host.folder(path) as result:
        source = unpack(files, Path(temporary))
        objects = Path(temporary) / "objects"
        objects.mkdir()
        make(source, objects, architecture)
        shutil.copy(objects / "busybox", result / "busybox")
        shutil.copy(objects / ".config", result / "config")
        shutil.copy(source / "debian" / "copyright", result / "copyright")
        (result / "applets").write_text(applets(objects))


def unpack(files: Sequence[File], folder: Path) -> Path:
    """Unpack the source package with Debian's patches; its signature was checked with the index."""
    for file in files:
        (folder / file.name).symlink_to(store.place(file))
    description = next(file.name for file in files if file.name.endswith(".dsc"))
    host.run(
        ["dpkg-source", "--no-check", "--extract", description, "source"], what="unpack busybox", cwd=folder
    )
    return folder / "source"


def make(source: Path, objects: Path, architecture: Architecture) -> None:
    """Configure and compile. Raises Failure when a setting of ours did not come through, or gcc complains."""
    fragment = FRAGMENT.read_text()
    base = (source / "debian/config/pkg/static").read_text()
    (objects / ".config").write_text(merge(base, fragment))
    prefix, _ = tools(architecture, native())
    # KCONFIG_NOTIMESTAMP keeps the build's date out of the binary
    environment = {"KCONFIG_NOTIMESTAMP": "1", "SOURCE_DATE_EPOCH": "0", "MAKEFLAGS": ""}
    command = ["make", "-C", str(source), f"O={objects}", f"CROSS_COMPILE={prefix}"]
    host.run([*command, "oldconfig"], what="configure busybox", env=environment, stdin=b"\n" * 10000)
    if wrong := unmet(fragment, (objects / ".config").read_text()):
        raise Failure("configure busybox", f"it does not take {wrong[0]}", "in board/busybox.config")
    jobs = f"-j{os.cpu_count() or 1}"
    host.run([*command, jobs, "busybox"], what=f"compile busybox for {architecture.name}", env=environment)


def applets(objects: Path) -> str:
    """Return the applets' names, a line each, as the build generated them (no target program is run)."""
    table = (objects / "include/applet_tables.h").read_text()
    found = re.findall(r'^"([^"\\]+)" "\\0"$', table, re.MULTILINE)
    if f"#define NUM_APPLETS {len(found)}\n" not in table:
        raise Failure("list the applets of busybox", f"{len(found)} names is not what it was built with")
    return "".join(f"{name}\n" for name in found)
