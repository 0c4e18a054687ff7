"""What all files of some directories ask for; one that is wrong is refused as a whole, and said, and the others count."""

from __future__ import annotations

import os

from initfs import files, say
from initfs.network import wanted, zones
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from initfs.network.wanted import Block
    from initfs.network.zones import Firewall

    T = TypeVar("T")

FILE_SIZE = 65536
NETWORK, FIREWALL = ".ipconf", ".fwconf"


@value
class Sources:
    """The good files by name: their text and what it means; and those that were refused, with theirs."""

    texts: dict[str, str]
    blocks: dict[str, tuple[Block, ...]]
    refused: dict[str, str]
    firewall: Firewall | None  # None: no file speaks of one
    firewall_refused: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing was refused."""
        return not self.refused and not self.firewall_refused

    @property
    def all_blocks(self) -> list[Block]:
        return [block for blocks in self.blocks.values() for block in blocks]


def read(directories: Sequence[str]) -> Sources:
    """What the files of all these directories want, sorted by name; of two of one name the last counts."""
    paths = {name: f"{directory}/{name}" for directory in directories for name in _names(directory)}
    texts, blocks, refused, parts = {}, {}, {}, []
    firewall_refused = False
    for name in sorted(paths):
        text = _text(paths[name])
        if name.endswith(NETWORK):
            found = _parsed(paths[name], text, wanted.parse)
            if found is None:
                refused[name] = text or ""
            else:
                texts[name], blocks[name] = text or "", found
        else:
            part = _parsed(paths[name], text, zones.parse)
            if part is None:
                firewall_refused = True
            else:
                parts.append(part)
    firewall = _parsed("the firewall", "", lambda _: zones.together(parts)) if parts else None
    firewall_refused = firewall_refused or (bool(parts) and firewall is None)
    return Sources(texts, blocks, refused, firewall, firewall_refused)


def _names(directory: str) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name.endswith((NETWORK, FIREWALL))]
    except FileNotFoundError:
        return []


def _text(path: str) -> str | None:
    """What the file says. Bytes that are no text survive in it; whoever parses it refuses their line."""
    try:
        return os.fsdecode(files.read(path, size=FILE_SIZE) or b"")
    except OSError as error:
        say.warning(f"{path} refused: {error}")
        return None


def _parsed(path: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    if text is None:
        return None
    try:
        return parse(text)
    except wanted.Invalid as error:
        say.warning(f"{path} refused: {error}")
        return None
