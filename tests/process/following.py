"""What a running svscan tells by its events, and says on its standard error: taken in as it comes, waited for with a deadline."""

from __future__ import annotations

import json
import os
import select
import socket
import time

from tests.process.waiting import PATIENCE, PIPE_SIZE, Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
    from typing import Any


class Following:
    """All that the svscan of a directory has told and said."""

    def __init__(self, scandir: Path) -> None:
        self.scandir = scandir
        self.process: subprocess.Popen[bytes] | None = None
        self.events: list[dict[str, Any]] = []
        self.said = ""
        self._cursor: dict[str, int] = {}
        self._socket: socket.socket | None = None
        self._rest = b""
        self._stderr = -1

    def follow(self) -> None:
        """Listen to its events, the remembered ones first."""
        private = os.open(self.scandir / ".svscan", os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(f"/proc/self/fd/{private}/events")  # a socket's path is short
        finally:
            os.close(private)
        self._socket.setblocking(False)

    def _listen(self, patience: float = 0.0, ended: int = -1) -> bool:
        """Take in what it says and tells; False when nothing came for so long. With ENDED: whether that has come."""
        sources: list[Any] = [self._socket] if self._socket is not None else []
        sources += [fd for fd in (self._stderr, ended) if fd >= 0]
        if not sources and patience:
            raise Late(f"it has ended; said: {self.said[-2000:]}")
        ready = select.select(sources, [], [], patience)[0]
        if self._stderr in ready:
            data = os.read(self._stderr, PIPE_SIZE)
            self.said += data.decode(errors="replace")
            if not data:
                os.close(self._stderr)
                self._stderr = -1
        if self._socket in ready and self._socket is not None:
            self._hear(self._socket)
        return bool(ready) if ended < 0 else ended in ready

    def _hear(self, source: socket.socket) -> None:
        try:
            data = source.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            event = json.loads(line)
            if not self.events or event["seq"] > self.events[-1]["seq"]:
                self.events.append(event)
        if not data:
            source.close()
            self._socket, self._rest = None, b""
            if self.process is not None and self.process.poll() is None:
                try:
                    self.follow()  # we had been too slow
                except OSError:
                    self._socket = None

    def wait_for(self, event: str, service: str = "", patience: float = PATIENCE) -> dict[str, Any]:
        """The next such event of a service after the one that was waited for before."""
        deadline = time.monotonic() + patience
        at = self._cursor.get(service, 0)
        while True:
            while at < len(self.events):
                found = self.events[at]
                at += 1
                if (found["service"], found["event"]) == (service, event):
                    self._cursor[service] = at
                    return found
            if not self._listen(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                told = [(one["service"], one["event"], one["reason"]) for one in self.events[-20:]]
                raise Late(f"no {event} of {service!r}; told: {told}; said: {self.said[-2000:]}")

    def wait_said(self, text: str, count: int = 1, patience: float = PATIENCE) -> None:
        """Return when it has said TEXT on its standard error, COUNT times."""
        deadline = time.monotonic() + patience
        while self.said.count(text) < count:
            if not self._listen(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                raise Late(f"{text!r} was not said; said: {self.said[-2000:]}")

    def happened(self, service: str = "") -> list[str]:
        """The events of a service so far."""
        while self._listen():
            pass
        return [event["event"] for event in self.events if event["service"] == service]
