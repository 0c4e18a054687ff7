"""Debian's archive through apt(8), in a private root per suite and architecture inside the cache.

apt does what it is good at: signed indexes, their checks, mirrors, proxies, downloads. It never touches this
host: with `Dir` elsewhere its lists, its configuration and its (empty) status are all below the cache.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from board import host, sources
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of the archive: a binary package, or a part of a source package."""

    package: str
    version: str
    architecture: str  # Debian's name, "all", or "source"
    name: str  # the file's name, for source parts
    sha256: str
    size: int  # bytes

    def record(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Root:
    """A private apt: `architecture` is Debian's name, or "source" for source packages."""

    suite: str
    architecture: str

    @property
    def path(self) -> Path:
        """The folder it lives in."""
        return host.cache() / "apt" / f"{self.suite}-{self.architecture}"

    @property
    def options(self) -> list[str]:
        """What keeps apt inside. Lists stay in apt's own compressed form."""
        own = self.architecture if self.architecture != "source" else "amd64"
        return [
            *("-o", f"Dir={self.path}"),
            *("-o", f"Dir::State::status={self.path}/var/lib/dpkg/status"),
            *("-o", f"APT::Architecture={own}"),
            *("-o", f"APT::Architectures={own}"),
            *("-o", "Acquire::Languages=none"),
            *("-o", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"),
            *(("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()),
        ]


def create(root: Root) -> None:
    """Make the folders and the one source of a private root, as apt wants them; what is there stays."""
    for part in ("etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d", "etc/apt/apt.conf.d",
                 "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):  # fmt: skip
        (root.path / part).mkdir(parents=True, exist_ok=True)
    (root.path / "var/lib/dpkg/status").touch()
    kind = "deb-src" if root.architecture == "source" else "deb"
    line = f"{kind} [signed-by={sources.KEYRING}] {sources.archive()} {root.suite} main\n"
    host.replace(root.path / "etc/apt/sources.list", line.encode())


def update(root: Root) -> None:
    """Fetch the signed indexes. Raises Failure: no network, a bad signature, no disk space."""
    what = f"fetch Debian's package index ({root.suite}, {root.architecture})"
    with host.failing(what):
        create(root)
    # without --error-on=any apt keeps old lists silently, and a build would use what nobody vouches for
    host.run(["apt-get", *root.options, "--error-on=any", "update"], what=what)


def known(root: Root) -> bool:
    """Say whether there are lists at all."""
    return any((root.path / "var/lib/apt/lists").glob("*_InRelease"))


def lookup(root: Root, names: Sequence[str]) -> list[File]:
    """Find binary packages in the index; a kernel's meta package stands for the kernel it depends on, and `+NAME` for a package
    with all the libraries that it depends on.

    Raises Failure naming the package that does not exist.
    """
    plain = list(dict.fromkeys(name.removeprefix("+") for name in names))
    fields = show(root, plain)
    real = [kernel(fields[name]) or name for name in plain]
    more = [name for name in real if name not in fields]
    fields |= show(root, more) if more else {}
    wanted = [name.removeprefix("+") for name in names if name.startswith("+")]
    while wanted := [name for one in wanted for name in libraries(fields[one]) if name not in fields]:
        fields |= show(root, sorted(set(wanted)))
        real += sorted(set(wanted))
    return [binary(fields[name]) for name in real]


def show(root: Root, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the index entries of packages by name."""
    what = f"find the packages of {root.suite} for {root.architecture}"
    try:
        text = host.run(["apt-cache", *root.options, "show", "--no-all-versions", *names], what=what).decode()
    except Failure:
        text = ""  # apt ends so when it knows none of them
    found = {fields["package"]: fields for fields in sources.paragraphs(text)}
    for name in names:
        if name not in found:
            where = f"Debian {root.suite} has none for {root.architecture}"
            raise Failure(f"find package {name!r}", where, "inv image --refresh renews the index")
    return found


def kernel(fields: dict[str, str]) -> str:
    """Return the package that a kernel's meta package stands for, or nothing if it is not one."""
    depends = fields.get("depends", "").replace(",", " ").split()
    if fields["package"].startswith("linux-image-") and depends and depends[0].startswith("linux-image-"):
        return depends[0]
    return ""


def libraries(fields: dict[str, str]) -> list[str]:
    """Return the packages of libraries that a package depends on; of alternatives the first."""
    depends = [
        clause.split()[0].partition(":")[0]
        for kind in ("pre-depends", "depends")
        for clause in fields.get(kind, "").split(",")
        if clause.strip()
    ]
    return [name for name in depends if name.startswith("lib")]


def binary(fields: dict[str, str]) -> File:
    """Make the value of an index entry."""
    return File(
        package=fields["package"],
        version=fields["version"],
        architecture=fields["architecture"],
        name=os.path.basename(fields["filename"]),
        sha256=fields["sha256"],
        size=int(fields["size"]),
    )


def source(root: Root, name: str) -> list[File]:
    """Find the parts of a source package: the .dsc, the original, Debian's changes."""
    text = host.run(
        ["apt-cache", *root.options, "showsrc", "--only-source", name], what=f"find source package {name!r}"
    ).decode()
    found = [fields for fields in sources.paragraphs(text) if fields.get("package") == name]
    if not found:
        raise Failure(f"find source package {name!r}", f"Debian {root.suite} has none")
    fields = found[-1]
    parts = [line.split() for line in fields["checksums-sha256"].splitlines() if line]
    return [
        File(
            package=name,
            version=fields["version"],
            architecture="source",
            name=part,
            sha256=digest,
            size=int(size),
        )
        for digest, size, part in parts
    ]


def fetch(root: Root, files: Sequence[File], folder: Path) -> None:
    """Download the files into a folder, which apt names as it likes. Raises Failure with apt's reason."""
    if not known(root):
        update(root)
    wanted = sorted({(file.package, file.version, file.architecture) for file in files})
    what = f"download {' '.join(package for package, _, _ in wanted)}"
    if root.architecture == "source":
        names = [f"{package}={version}" for package, version, _ in wanted]
        command = ["apt-get", *root.options, "--download-only", "source", *names]
    else:
        command = [
            "apt-get",
            *root.options,
            "download",
            *(f"{package}={version}" for package, version, _ in wanted),
        ]
    try:
        host.run(command, what=what, cwd=folder)
    except Failure as failure:
        gone = "404" in failure.reason or "was not found" in failure.reason
        hint = "inv image --refresh looks for newer versions" if gone else failure.hint
        raise Failure(what, failure.reason, hint) from None
