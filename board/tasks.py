"""The verbs of the image builder, for `inv`: image, size, boards, clean."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

from invoke.tasks import task

from board import host, model, size, verified
from board.build import Image, build, needs
from board.disk import build as disks
from board.disk import history, layout
from board.report import Report, mode
from board.telling import telling

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    help={
        "board": "name, or all",
        "profile": "other services than the board's own",
        "json": "lines of JSON",
        "refresh": "look for newer packages",
        "chain": "only this boot chain: direct, disk ...; else all that the board has",
        "diff": "two kept disk images, OLD NEW (or OLD,NEW): what changed; an id, or 0 for the newest, 1 for the one before",
    }
)
def image(
    _: Context, board: str = model.DEFAULT, profile: str = "", json: bool = False, refresh: bool = False,
    chain: str = "", diff: str = "",
) -> None:  # fmt: skip
    """Build a board's images into build/BOARD: vmlinuz, initramfs.cpio.zst, manifest.json, sbom.cdx.json, disk.img."""
    with telling():
        if diff:
            show_difference(board, diff)
            return
        wanted = [
            each for name in (model.names() if board == "all" else [board]) for each in chains(name, chain)
        ]
        host.need(sorted({*needs(wanted), *layout.packages([each.disk for each in wanted if each.disk])}))
        with Report(mode(as_json=json)) as report:
            made = [make(each, profile, report, refresh=refresh) for each in wanted]
        for one in made:
            say_made(one, as_json=json)


def chains(name: str, chain: str) -> list[model.Board]:
    """Return the board once for each boot chain that is asked for; `direct` is left out of those that no emulator has."""
    board = model.load(name)
    if chain:
        return [model.chained(board, chain)]
    return [model.chained(board, each) for each in board.chains if possible(board, each)]


def make(board: model.Board, profile: str, report: Report, *, refresh: bool) -> Image | disks.Made:
    """Build one of them."""
    if board.disk is None:
        return build(board, profile=profile or None, reporter=report, refresh=refresh)
    return disks.build(board, profile=profile or None, reporter=report, refresh=refresh)


def show_difference(board: str, names: str) -> None:
    """Show what changed between two kept disk images."""
    old, comma, new = names.partition(",")
    if not comma:
        raise host.Failure(f"compare {names!r}", "it is not OLD,NEW", usage=True)
    before, after = (history.content(history.find(board, name)) for name in (old, new))
    for line in history.difference(before, after):
        print(line)


def say_made(made: Image | disks.Made, *, as_json: bool) -> None:
    """Tell where an image is, or that there was nothing to do."""
    if isinstance(made, disks.Made):
        fields = {
            "event": "disk",
            "path": str(made.path),
            "built": made.fresh,
            "bytes": made.path.stat().st_size,
        }
        state = f"{made.path.stat().st_blocks * 512 / 1e6:.0f} MB to write" if made.fresh else "up to date"
        print(dumps_line(fields) if as_json else f"{made.path.relative_to(host.ROOT)}: {state}")
        return
    bytes_ = made.initramfs.stat().st_size
    if as_json:
        print(
            json.dumps(
                {"event": "image", "folder": str(made.folder), "built": made.fresh, "initramfs": bytes_}
            )
        )
    else:
        state = f"initramfs {bytes_ / 1e6:.2f} MB" if made.fresh else "up to date"
        print(f"{made.folder.relative_to(host.ROOT)}: {state}")


@task(
    name="size", help={"board": "name", "profile": "other services than the board's own", "json": "as JSON"}
)
def show_size(_: Context, board: str = model.DEFAULT, profile: str = "", json: bool = False) -> None:
    """Show where the bytes of a board's image go, by group and by package."""
    with telling():
        sizes = size.measure(build(model.load(board), profile=profile or None))
        print(dumps(size.plain(sizes)) if json else size.text(board, sizes))


@task(name="boards", help={"json": "as JSON"})
def show_boards(_: Context, json: bool = False) -> None:
    """List the boards: architecture, boot chain, and when each was last booted by a test."""
    with telling():
        rows = [
            (board, chain)
            for board in map(model.load, model.names())
            for chain in board.chains
            if possible(board, chain)
        ]
    last = {(board.name, chain): verified.last(board.name, chain) for board, chain in rows}
    if json:
        boards = {board.name: board for board, _ in rows}.values()
        told = [{**dataclasses.asdict(one), "verified": {chain: found and dataclasses.asdict(found)
                 for (name, chain), found in last.items() if name == one.name}} for one in boards]  # fmt: skip
        print(dumps(told))
        return
    print(f"{'board':14} {'architecture':12} {'chain':8} {'last verified':34} description")
    for board, chain in rows:
        found = last[board.name, chain]
        when = (
            f"{found.date[:16]} {found.kernel}"
            if found
            else "-"
            if board.qemu.emulator
            else "built, not booted: no emulator"
        )
        print(f"{board.name:14} {board.architecture:12} {chain:8} {when:34} {board.description}")


def possible(board: model.Board, chain: str) -> bool:
    """Say whether a chain can be used: a kernel is handed over by an emulator only."""
    return chain != "direct" or bool(board.qemu.emulator)


@task(help={"cache": "also the cache: everything is downloaded and compiled anew then"})
def clean(_: Context, cache: bool = False) -> None:
    """Remove the built images."""
    with telling(), host.failing("clean"):
        for path in (host.ROOT / "build", *([host.cache()] if cache else [])):
            if path.exists():
                shutil.rmtree(path)


def dumps_line(value: object) -> str:
    """Return JSON on one line."""
    return json.dumps(value)


def dumps(value: object) -> str:
    """Return JSON; a name of its own, as the tasks' option --json hides the module's."""
    return json.dumps(value, indent=1)
