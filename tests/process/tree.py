"""A real tree for a test: a scan directory with services of a few lines, and the svscan that supervises them."""

from __future__ import annotations

import os
import signal

from initfs.notify import fifodir
from tests.process.notify_world import end, ours, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    import subprocess


class Tree:
    """A scan directory, its services, and the svscan that supervises them once `begin` was called."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, name: str, script: str, **files: str) -> pathlib.Path:
        """A service whose run is the shell SCRIPT; other files by name, `_` for `-`."""
        service = self.directory / name
        service.mkdir(parents=True)
        fifodir.ensure(str(service / "event"))
        for file, content in {"run": script, **files}.items():
            path = service / file.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{content}\n" if file in ("run", "finish") else content)
            path.chmod(0o755)
        return service

    def begin(self) -> None:
        """Start svscan and return when every service there is supervised."""
        services = sorted(self.directory.iterdir())
        listeners = [fifodir.Subscription(str(service / "event")) for service in services]
        self.process = start(ours("svscan", self.directory), stdout=None, stderr=None)
        for listener in listeners:
            os.set_blocking(listener.fd, True)
            assert listener.read().startswith(b"s")
            listener.close()

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            end(self.process)
