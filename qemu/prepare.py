"""What a board needs before it can be booted by one of its chains: an image, or a disk with its firmware, and an emulator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board import build
from board.disk import build as disks
from board.disk import layout
from board.host import Failure
from qemu import newer
from qemu.machine import Flash

if TYPE_CHECKING:
    from pathlib import Path

    from board.build import Image
    from board.disk.build import Made
    from board.model import Board
    from board.ours import Sources
    from board.report import Report


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything to start a machine with."""

    image: Image
    flash: Flash | None = None
    emulator: tuple[str, ...] = ()


def prepare(
    board: Board, report: Report, *, sources: Sources | None = None, output: Path | None = None
) -> Prepared:
    """Have all of it, built and unpacked. Raises Failure: also when nobody has a model of the board."""
    if not board.qemu.emulator:
        raise Failure(
            f"boot {board.name}",
            "no emulator has a model of it",
            "inv flash writes its image to a card",
            usage=True,
        )
    emulator = newer.command(board)
    if board.disk is None:
        return Prepared(build.build(board, reporter=report, sources=sources, output=output), None, emulator)
    made = disks.build(board, reporter=report, sources=sources, output=output)
    return Prepared(made.image, flash(board, made), emulator)


def flash(board: Board, made: Made, path: Path | None = None, *, writable: bool = False) -> Flash:
    """Return how QEMU boots from a disk image; `path`: from this copy of it."""
    disk = disks.chosen(board)
    return Flash(
        path=str(path or made.path),
        args=tuple(made.firmware.expand(word) for word in disk.args),
        drive=disk.drive,
        memory=disk.memory,
        writable=writable,
    )


def packages(board: Board) -> list[str]:
    """Return the Debian packages that the host needs for a board's chain beside those of its initramfs and emulator."""
    return layout.packages([board.disk]) if board.disk else []


def absent(board: Board) -> bool:
    """Say whether the host itself has no emulator for the board, and nobody else's will be taken."""
    return bool(board.qemu.emulator) and not board.qemu.version and not shutil.which(board.qemu.emulator)
