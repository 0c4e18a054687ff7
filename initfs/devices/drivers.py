"""Drivers by modalias: which modules this image has for a device, read once, and modprobe(8) to load them."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from initfs import files, process, say

ALIASES = "/lib/modules/{release}/modules.alias"
SIZE = 1 << 24


class Drivers:
    """Modules that are wanted; each is asked for once, all of a batch with one modprobe."""

    def __init__(self, aliases: str = "") -> None:
        text = files.read(aliases or ALIASES.format(release=os.uname().release), size=SIZE) or b""
        words = (line.split() for line in text.decode().splitlines())
        self._known = [(each[1], each[2]) for each in words if len(each) == 3 and each[0] == "alias"]
        self._wanted: dict[str, bool] = {}  # by module: whether it was asked for already

    def modules(self, modalias: str) -> list[str]:
        """The modules that say they are for such a device."""
        return list(
            dict.fromkeys(module for pattern, module in self._known if fnmatchcase(modalias, pattern))
        )

    def want(self, modalias: str) -> None:
        for module in self.modules(modalias):
            self._wanted.setdefault(module, False)

    def flush(self) -> None:
        """Have what is new loaded; what that brings comes as events."""
        new = [module for module, asked in self._wanted.items() if not asked]
        if not new:
            return
        self._wanted.update(dict.fromkeys(new, True))
        found = [path for path in process.candidates("modprobe", os.environ) if os.access(path, os.X_OK)]
        if not found:
            return
        try:
            process.spawn(found[0], ["modprobe", "-a", *new], os.environ, session=False)
        except OSError as error:
            say.warning(f"unable to load {' '.join(new)}: {say.reason(error)}")
