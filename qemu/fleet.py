"""Several boards at once: as many machines as the host has processors, their output told apart by a prefix."""

from __future__ import annotations

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from qemu.boot import Outcome, headless
from qemu.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from board.report import Report
    from qemu.boot import Request
    from qemu.vm import Machine

TEMPORARY = 111  # the exit code for what failed on our side


def run(requests: Sequence[Request], report: Report, *, as_json: bool) -> list[Outcome]:
    """Boot all, return how each ended, in their order. Ctrl-c ends the machines."""
    out, several = Output(), len(requests) > 1
    live: list[Machine] = []

    def one(request: Request) -> Outcome:
        name = request.board.name
        sink = out.json(name) if as_json else out.prefixed(name) if several else out.plain()
        try:
            with report.step(f"boot {name}"):
                return headless(request, sink, live)
        except (VmError, OSError) as error:
            return Outcome(name, TEMPORARY, error=str(error))

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        futures = [pool.submit(one, request) for request in requests]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            for future in futures:
                future.cancel()
            for machine in tuple(live):
                machine.stop()  # whoever waits for it hears that it has ended
            raise


class Output:
    """Our standard output and error, shared by machines; whole lines stay whole."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def plain(self) -> Callable[[str, bytes], None]:
        """As it comes, byte by byte: the command's output is ours."""

        def sink(stream: str, data: bytes) -> None:
            target = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
            target.write(data)
            target.flush()

        return sink

    def prefixed(self, name: str) -> Callable[[str, bytes], None]:
        """Line by line, each with the board's name in front."""

        def write(stream: str, line: str) -> None:
            print(f"{name:12} | {line}", file=sys.stdout if stream == "stdout" else sys.stderr, flush=True)

        return self.by_line(write)

    def json(self, name: str) -> Callable[[str, bytes], None]:
        """Line by line, each as an object."""

        def write(stream: str, line: str) -> None:
            print(json.dumps({"event": "output", "board": name, "stream": stream, "line": line}), flush=True)

        return self.by_line(write)

    def by_line(self, write: Callable[[str, str], None]) -> Callable[[str, bytes], None]:
        rest = {"stdout": b"", "stderr": b""}

        def sink(stream: str, data: bytes) -> None:
            # The agent's last piece has no mark of its own: an empty one ends what has no newline.
            *lines, rest[stream] = (rest[stream] + data).split(b"\n") if data else (rest[stream], b"")
            with self.lock:
                for line in lines:
                    if data or line:
                        write(stream, line.decode(errors="replace"))

        return sink
