"""Disks that tests may write to, and updates for them."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from board import model
from board.disk import build, updates
from board.report import Report
from qemu import boot, prepare
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from board.disk.build import Made
    from board.model import Board
    from board.ours import Sources

LIMIT = 240.0  # seconds for a boot on a busy host; a good case takes ten
ASKED = 60.0  # seconds for what takes one


class Disk:
    """A board's disk image, and a copy of it that keeps what is written to it."""

    def __init__(
        self, board: str, chain: str, folder: Path, *, output: bool = False, sources: Sources | None = None
    ) -> None:
        self.board: Board = model.chained(model.load(board), chain)
        boot.need([self.board])
        built = folder / "built" if output else None  # in build/, where `inv` has its own
        with Report("quiet") as report:
            self.made: Made = build.build(self.board, reporter=report, sources=sources, output=built)
        self.path = folder / "disk.img"
        self.fresh()

    def fresh(self) -> None:
        """Begin anew, as on a card that was just written."""
        subprocess.run(["cp", "--sparse=always", self.made.path, self.path], check=True)

    def enlarge(self, times: int = 2) -> None:
        """Have the image on a larger card than it was made for."""
        assert self.board.disk
        os.truncate(self.path, self.board.disk.size * times << 20)

    def machine(self, **options: object) -> Machine:
        """A machine that starts from the copy and writes to it."""
        flash = prepare.flash(self.board, self.made, self.path, writable=True)
        return Machine(self.board, self.made.image, flash=flash, **options)  # type: ignore[arg-type]

    def update(self, path: Path) -> Path:
        return updates.make(self.board, self.made, path)

    def read(self, name: str) -> bytes:
        """A file of the boot partition, read from outside."""
        words = ["mtype", "-i", self.fat, f"::/{name}"]
        return subprocess.run(words, capture_output=True, check=True).stdout

    def write(self, name: str, data: bytes) -> None:
        """Put a file on the boot partition, as somebody does who has the card in his computer."""
        folder = name.rpartition("/")[0]
        subprocess.run(["mmd", "-D", "s", "-i", self.fat, f"::/{folder}"], capture_output=True, check=False)
        subprocess.run(["mcopy", "-o", "-i", self.fat, "-", f"::/{name}"], input=data, check=True)

    def names(self, folder: str) -> list[str]:
        """The names in a folder of the boot partition."""
        words = ["mdir", "-b", "-i", self.fat, f"::/{folder}"]
        lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        return sorted(line.rstrip("/").rpartition("/")[2] for line in lines)

    @property
    def fat(self) -> str:
        start = self.board.disk.start if self.board.disk else 1
        return f"{self.path}@@{start}M"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server on the loopback address; yields what it is called in a guest of QEMU's user network."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://10.0.2.2:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing among the tests' output."""
