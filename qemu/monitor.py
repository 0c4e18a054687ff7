"""QMP, QEMU's machine protocol: requests as lines, answers and events as values. Pure.

Not the library qemu.qmp, because its import name lies inside the name of this package.
"""

from __future__ import annotations

import json
import re
from typing import Any


class Monitor:
    """What was asked and not answered yet, what was answered, and why the guest stopped."""

    def __init__(self) -> None:
        self.number = 0
        self.answers: dict[int, dict[str, Any]] = {}
        self.greeted = False
        self.stopped = ""  # "guest-shutdown", "guest-reset", "guest-panic", "host-qmp-quit" ...

    def request(self, command: str, arguments: dict[str, Any] | None = None) -> tuple[int, str]:
        """Return the request's number, and its line."""
        self.number += 1
        asked: dict[str, Any] = {"execute": command, "id": self.number}
        return self.number, json.dumps({**asked, **({"arguments": arguments} if arguments else {})}) + "\n"

    def heard(self, line: str) -> None:
        told = json.loads(line)
        if "QMP" in told:
            self.greeted = True
        elif "event" in told:
            if told["event"] == "SHUTDOWN" and not self.stopped:
                self.stopped = told["data"]["reason"]
        elif "id" in told:
            self.answers[told["id"]] = told


def forwards(usernet: str) -> dict[int, int]:
    """Read `info usernet`: guest port -> host port, of the forwards that listen."""
    rows = re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)", usernet)
    return {int(guest): int(host) for host, guest in rows}
