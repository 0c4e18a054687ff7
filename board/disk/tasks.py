"""The verbs for disks, for `inv`: flash, keys, update."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from board import crossenv as cross
from board import flash as writing
from board import host, model
from board.disk import build, history, keys, updates
from board.report import Report, mode
from board.telling import telling

if TYPE_CHECKING:
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


@task(
    iterable=["install"],
    help={
        "board": "name",
        "buildroot": "a Buildroot output directory, instead of Debian's packages",
        "install": "a requirement, as for pip; repeatable",
        "into": "the folder to install into",
    },
)
def crossenv(
    _: Context,
    board: str = model.DEFAULT,
    buildroot: str = "",
    install: list[str] | None = None,
    into: str = "",
) -> None:
    """Make a cross environment for a board's Python, and with --install and --into a folder of packages for the board."""
    with telling():
        if bool(install) != bool(into):
            raise host.Failure("install packages", "--install and --into go together", usage=True)
        env = cross.crossenv(model.load(board), Path(buildroot) if buildroot else None)
        print(f". {env.path}/bin/activate    # then: cross-pip install ...")
        for path in cross.install(env, install or [], Path(into)) if install else []:
            print(path)


def slotted(name: str) -> str:
    """Return the board's first chain with slots; empty when it has none: the failure then says so."""
    board = model.load(name)
    return next((disk.chain for disk in board.disks if disk.loader in {"fit", "systemd-boot"}), "")
