"""The verbs of the image builder, for `inv`: image, size, boards, clean."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke.tasks import task

from board import host, model, size, verified
from board.build import Image, build, needs
from board.report import Report, mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.context import Context

USAGE, TEMPORARY = 100, 111  # as the programs on the target
INTERRUPTED = 130  # as a shell says of what ctrl-c ended


@contextmanager
def telling() -> Iterator[None]:
    """Show a Failure as people read it, and end: 100 if the request was wrong, 111 if the work failed, 130 for ctrl-c."""
    try:
        yield
    except host.Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(USAGE if failure.usage else TEMPORARY)
    except OSError as problem:
        where = f": {problem.filename}" if problem.filename else ""
        print(f"inv: fatal: unable to go on: {problem.strerror or problem}{where}", file=sys.stderr)
        sys.exit(TEMPORARY)
    except KeyboardInterrupt:
        print("inv: fatal: unable to go on: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


@task(
    help={
        "board": "name, or all",
        "profile": "other services than the board's own",
        "json": "lines of JSON",
        "refresh": "look for newer packages",
    }
)
def image(
    _: Context, board: str = model.DEFAULT, profile: str = "", json: bool = False, refresh: bool = False
) -> None:
    """Build a board's image into build/BOARD: vmlinuz, initramfs.cpio.zst, manifest.json, sbom.cdx.json."""
    with telling():
        boards = [model.load(name) for name in (model.names() if board == "all" else [board])]
        host.need(needs(boards))
        with Report(mode(as_json=json)) as report:
            made = [build(one, profile=profile or None, reporter=report, refresh=refresh) for one in boards]
        for one in made:
            say_made(one, as_json=json)


def say_made(made: Image, *, as_json: bool) -> None:
    """Tell where an image is, or that there was nothing to do."""
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
        rows = [(model.load(name), verified.last(name)) for name in model.names()]
    if json:
        print(
            dumps(
                [
                    {**dataclasses.asdict(one), "verified": dataclasses.asdict(last) if last else None}
                    for one, last in rows
                ]
            )
        )
        return
    print(f"{'board':14} {'architecture':12} {'chain':8} {'last verified':34} description")
    for one, last in rows:
        when = f"{last.date[:16]} {last.kernel}" if last else "-"
        print(f"{one.name:14} {one.architecture:12} {one.chain:8} {when:34} {one.description}")


@task(help={"cache": "also the cache: everything is downloaded and compiled anew then"})
def clean(_: Context, cache: bool = False) -> None:
    """Remove the built images."""
    with telling(), host.failing("clean"):
        for path in (host.ROOT / "build", *([host.cache()] if cache else [])):
            if path.exists():
                shutil.rmtree(path)


def dumps(value: object) -> str:
    """Return JSON; a name of its own, as the tasks' option --json hides the module's."""
    return json.dumps(value, indent=1)
