"""Update files for machines with two slots: what `initfs-update` on the target takes. Its form is described in `initfs/disk/bundle.py`."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from board import host
from board.disk import build, equipment, keys
from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from board.disk.build import Made
    from board.model import Board


def make(board: Board, made: Made, output: Path | None = None) -> Path:
    """Write the update that makes another machine what this disk image is; return its path. Raises Failure."""
    disk = build.chosen(board)
    if disk.loader not in equipment.SLOTS:
        raise Failure(
            f"make an update for {board.name}",
            f"chain {board.chain} has no slots",
            "see docs/flash.md",
            usage=True,
        )
    path = output or made.path.with_suffix(".update")
    host.replace(path, packed(board, parts(board, made.image)))
    return path


def parts(board: Board, system: build.System) -> Mapping[str, bytes]:
    """Return the files of a slot, by the names that the target knows."""
    if build.chosen(board).loader == "fit":
        with tempfile.TemporaryDirectory() as work:
            return {"slot.itb": build.fit(system, board.arguments, Path(work))}
    return {"linux": system.kernel.read_bytes(), "initrd.zst": system.initramfs.read_bytes()}


def header(board: Board, files: Mapping[str, bytes]) -> bytes:
    """Return what is signed."""
    about = {
        "board": board.name,
        "chain": board.chain,
        "version": hashlib.sha256(b"".join(files.values())).hexdigest()[:12],
        "arguments": board.arguments,
        "files": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
    }
    return json.dumps(about, indent=1).encode() + b"\n"


def packed(board: Board, files: Mapping[str, bytes]) -> bytes:
    """Return the whole update, signed."""
    text = header(board, files)
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder) / "header"
        message.write_bytes(text)
        signature = keys.sign(message)
    first = f"initfs-update 1 {len(text)} {len(signature)}\n".encode()
    return b"".join((first, text, signature, *files.values()))
