"""The verbs for disks, for `inv`: flash, keys, update."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.tasks import task

from board import flash as writing
from board import host, model
from board.disk import build, history, keys, updates
from board.report import Report, mode
from board.telling import telling

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

    from board.model import Board


def with_disk(name: str, chain: str) -> Board:
    """Return the board with the chain that is meant: the one that is named, its own, or the first that has a disk."""
    board = model.load(name)
    if not chain and board.disk is None and board.disks:
        chain = board.disks[0].chain
    board = model.chained(board, chain)
    build.chosen(board)
    return board


@task(
    help={
        "board": "name",
        "device": "a disk, or a file",
        "chain": "boot chain, where the board has several disks",
        "image": "a kept one: its id, or 0 for the newest, 1 for the one before",
        "yes": "do not ask",
        "keep-data": "leave the data partition as it is",
    }
)
def flash(
    _: Context,
    board: str,
    device: str,
    chain: str = "",
    image: str = "",
    yes: bool = False,
    keep_data: bool = False,
) -> None:
    """Write a board's disk image to a card, a disk or a file, and read it back."""
    with telling():
        wanted = with_disk(board, chain)
        with Report(mode()) as report:
            path = kept(wanted, image) if image else build.build(wanted, reporter=report).path
            confirm = (lambda _: True) if yes else writing.asked
            disk = build.chosen(wanted)
            count = writing.write(path, disk, board, device, report, confirm=confirm, keep_data=keep_data)
        print(f"{device}: {count} bytes written and read back")


def kept(board: Board, name: str) -> Path:
    """Return a kept image's path. Raises Failure: it is of another chain."""
    folder = history.find(board.name, name)
    path = folder / f"{board.chain}.img"
    if not path.exists():
        raise host.Failure(
            f"flash image {folder.name}", f"it is not of chain {board.chain}", "--chain", usage=True
        )
    return path


@task(name="keys")
def make_keys(_: Context) -> None:
    """Make the pair of keys that updates are signed with."""
    with telling():
        home = keys.make()
        print(f"{home}: update.pub goes into every disk image from now on; keep update.sec")


@task(help={"board": "name", "chain": "boot chain, where the board has several disks"})
def update(_: Context, board: str = model.DEFAULT, chain: str = "") -> None:
    """Build the update file that `initfs-update` on a machine with two slots takes."""
    with telling():
        wanted = model.chained(model.load(board), chain or slotted(board))
        with Report(mode()) as report:
            path = updates.make(wanted, build.build(wanted, reporter=report))
        print(f"{path.relative_to(host.ROOT)}: {path.stat().st_size} bytes", file=sys.stdout)


def slotted(name: str) -> str:
    """Return the board's first chain with slots; empty when it has none: the failure then says so."""
    board = model.load(name)
    return next((disk.chain for disk in board.disks if disk.loader in {"fit", "systemd-boot"}), "")
