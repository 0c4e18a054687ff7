"""Service directories for tests, and what they run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SLEEP = "exec sleep 999"
READY_ON_3 = "printf 'so far' >&3; echo >&3; exec sleep 999 3>&-"
LISTENER = "exec python3 -I -S ../../listen.py"  # blocks all signals and names those that come; it takes a KILL to end it
LISTEN = """import os, signal, sys
ear = open(os.environ["EAR"], "w", buffering=1)
names = [name for name in signal.Signals if name not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)]
signal.pthread_sigmask(signal.SIG_BLOCK, names)
ear.write("up\\n")
while True:
    ear.write(signal.Signals(signal.sigwait(names)).name + "\\n")
"""
EXECUTABLE = ("run", "finish", "check")


def make_service(service: Path, run: str | None = SLEEP, /, **knobs: str) -> Path:
    """A service directory; RUN and other programs are shell scripts, `_` in a knob's name stands for `-`."""
    service.mkdir(parents=True, exist_ok=True)
    if run is not None:
        knobs["run"] = run
    # `run` comes last and by rename: in a watched directory a service begins to be with it.
    for name, content in knobs.items():
        path = service / f".{name}.new"
        path.write_text(f"#!/bin/sh\n{content}\n" if name in EXECUTABLE else content)
        path.chmod(0o755 if name in EXECUTABLE else 0o644)
        path.rename(service / name.replace("_", "-"))
    return service
