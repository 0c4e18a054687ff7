"""A sysroot out of Debian's packages: the target's C library and Python with their headers, unpacked side by side."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from board import host, store
from board.apt import Root
from board.architecture import suite

if TYPE_CHECKING:
    from pathlib import Path

    from board.architecture import Architecture

# Releases whose packages are all below /usr need the links that base-files would have made.
LINKS = {"lib": "usr/lib", "lib64": "usr/lib64", "bin": "usr/bin", "sbin": "usr/sbin"}


def names(version: str) -> list[str]:
    """Return the packages."""
    python = [
        f"{name}{version}{part}" for name in ("libpython",) for part in ("", "-dev", "-minimal", "-stdlib")
    ]
    python += [f"python{version}", f"python{version}-dev", f"python{version}-minimal"]
    return [*python, "libc6", "libc6-dev", "linux-libc-dev", "libgcc-s1", "libatomic1", "libcrypt1", "libcrypt-dev",
            "zlib1g", "libexpat1", "libffi8"]  # fmt: skip


def sysroot(suite_name: str, architecture: Architecture) -> Path:
    """Return the tree, in the cache."""
    root = Root(suite_name, architecture.name)
    files = store.resolve(root, names(suite(suite_name).python))
    key = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:16]
    path = host.cache() / "sysroot" / f"{suite_name}-{architecture.name}-{key}"
    if not path.exists():
        store.fetch(root, files)
        with host.failing("unpack the sysroot"), host.folder(path) as temporary:
            for file in files:
                host.run(
                    ["dpkg-deb", "--extract", store.place(file), temporary], what=f"unpack {file.package}"
                )
            for name, target in LINKS.items():
                if not (temporary / name).exists() and (temporary / target).exists():
                    (temporary / name).symlink_to(target)
    return path
