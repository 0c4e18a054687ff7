"""What a machine needs of an image, and what the image says of its services."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable


class Image(Protocol):
    """Files that `board.build` made."""

    @property
    def kernel(self) -> str | os.PathLike[str]: ...
    @property
    def initramfs(self) -> str | os.PathLike[str]: ...


def announcing(paths: Iterable[str]) -> set[str]:
    """Return the services, among an image's files, that come up by themselves and say when they are ready."""
    files = {path.lstrip("/") for path in paths}
    found = (re.fullmatch(r"(etc/initfs/(?:early|service)/([^/]+))/notification-fd", path) for path in files)
    return {match[2] for match in found if match and f"{match[1]}/down" not in files}
