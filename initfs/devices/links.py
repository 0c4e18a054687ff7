"""Stable links below /dev, and which of them are there by rules: a device that goes while devd is dead leaves one that leads nowhere."""

from __future__ import annotations

import os

from initfs import files

KEPT = "/run/initfs/devd"  # each link once more, below the same path


def make(path: str, node: str) -> None:
    """Have a link, by a rename, so that it is never missing. OSError."""
    for place in (KEPT + path, path):  # in this order: one that nobody knows of would stay for ever
        os.makedirs(os.path.dirname(place), exist_ok=True)
        files.remove(f"{place}.new")
        os.symlink(node, f"{place}.new")
        os.rename(f"{place}.new", place)


def remove(path: str, node: str) -> None:
    """Remove a link that still leads to this device. OSError."""
    for place in (path, KEPT + path):
        if os.path.islink(place) and os.readlink(place) == node:
            os.unlink(place)


def made() -> list[tuple[str, str]]:
    """The links that are there by rules, and the nodes that they lead to."""
    paths = [f"{folder}/{name}" for folder, _, names in os.walk(KEPT) for name in names]
    return [
        (path[len(KEPT) :], os.readlink(path))
        for path in sorted(paths)
        if os.path.islink(path) and not path.endswith(".new")
    ]
