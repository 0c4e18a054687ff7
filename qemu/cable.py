"""Cables between virtual machines, without any privilege on the host: pairs of Unix datagram sockets in a private folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Self

from qemu.machine import Wire

if TYPE_CHECKING:
    from qemu.vm import Machine


class Cables:
    """A folder of cables, inside a `with` block.

    with Cables() as cables:
        inside, outside = cables.cable()
        with Machine(board, image, wires=[inside]), Machine(board, image, wires=[outside]): ...
    """

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> Self:
        """Make the folder; a socket's path ends at 108 bytes, so it is short."""
        self._folder = tempfile.mkdtemp(prefix="initfs-")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def cable(self, *, unplugged: bool = False) -> tuple[Wire, Wire]:
        """Return the two ends of a new cable; `unplugged`: the first end has no card yet."""
        self._count += 1
        paths = [os.path.join(self._folder, f"{self._count}{end}") for end in "ab"]
        macs = [f"52:54:00:07:{self._count:02x}:0{end}" for end in (1, 2)]
        return (
            Wire(local=paths[0], remote=paths[1], mac=macs[0], unplugged=unplugged),
            Wire(local=paths[1], remote=paths[0], mac=macs[1]),
        )


def pull(vm: Machine, card: int) -> None:
    """Pull the cable out of a machine's card: its carrier goes."""
    vm.qmp("set_link", name=f"net{card}", up=False)


def plug(vm: Machine, card: int) -> None:
    """Put it in again."""
    vm.qmp("set_link", name=f"net{card}", up=True)


def insert_card(vm: Machine, card: int, wire: Wire) -> None:
    """Put a card into the slot of an unplugged wire."""
    vm.qmp(
        "device_add", driver=vm.board.qemu.nic, netdev=f"net{card}", id=f"nic{card}", bus=f"slot{card}", mac=wire.mac,
        romfile="",
    )  # fmt: skip


def remove_card(vm: Machine, card: int) -> None:
    """Ask the guest to let a card go; QEMU tells when it has."""
    vm.qmp("device_del", id=f"nic{card}")
