"""A real tree for a test: a scan directory with services of a few lines, and the svscan that supervises them."""

from __future__ import annotations

import os
import signal
import sys

from initfs.notify import fifodir
from tests.process.notify_world import ENVIRONMENT, end, ours, start

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

    def begin(self, *options: str, env: dict[str, str] | None = None) -> None:
        """Start svscan and return when every service there is supervised."""
        self.directory.mkdir(exist_ok=True)
        services = sorted(self.directory.iterdir())
        listeners = [fifodir.Subscription(str(service / "event")) for service in services]
        reading, writing = os.pipe()
        self.process = start(
            ours("svscan", "-d", writing, *options, self.directory),
            stdout=None,
            stderr=None,
            env=env or self.environment(),
            pass_fds=[writing],
        )
        os.close(writing)
        assert os.read(reading, 1) == b"\n"
        os.close(reading)
        for listener in listeners:
            os.set_blocking(listener.fd, True)
            assert listener.read().startswith(b"s")
            listener.close()

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            end(self.process)

    def environment(self, *names: str) -> dict[str, str]:
        """An environment whose PATH begins with `initfs` and links of these NAMES to it."""
        programs = self.directory.parent / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "initfs").write_text(f'#!/bin/sh\nexec {sys.executable} -m initfs.main "$@"\n')
        (programs / "initfs").chmod(0o755)
        for name in names:
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m initfs.main {name} "$@"\n')
            (programs / name).chmod(0o755)
        return {**ENVIRONMENT, "PATH": f"{programs}:{os.environ['PATH']}"}
