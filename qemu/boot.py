"""One boot of one board for `inv boot`: start, wait, run the command, power off, and tell how it went."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from board import build, host
from board.verified import Verified, record
from qemu import machine, prepare
from qemu.errors import EndedError, VmError
from qemu.image import announcing
from qemu.talk import Talk
from qemu.times import times
from qemu.vm import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from board.build import Image
    from board.model import Board
    from qemu.events import Event

NO_LIMIT = 1e9  # seconds: thirty years


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `inv boot` was asked for, board by board."""

    board: Board
    image: Image
    command: str = ""
    memory: int = 0
    forwards: tuple[machine.Forward, ...] = ()
    kernel: str = ""
    limit: float = 300.0  # seconds for all of it
    events: str = ""  # path of a file that gets the event lines
    flash: machine.Flash | None = None  # boot from this disk, by the board's own chain
    emulator: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: the command's status, or 111 and why; and when the milestones were, in seconds after the kernel's start."""

    board: str
    status: int
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""


def emulator(board: Board) -> None:
    """Have what one board needs."""
    need([board])


def need(boards: Sequence[Board]) -> None:
    """Have on this host all that the boards' images are built with and booted in. Raises Failure: says how to get it."""
    absent = {board.qemu.emulator for board in boards if prepare.absent(board)}
    emulators = [name for program in absent for name in machine.packages(program, release())]
    tools = [name for board in boards for name in prepare.packages(board)]
    host.need(sorted({*build.needs(boards), *emulators, *tools}))
    for program in sorted(absent):
        if not shutil.which(program):
            owner = " ".join(machine.packages(program, release()))
            raise host.Failure(f"find {program}", "it is not in PATH", f"Debian package {owner} is installed")


def release() -> int:
    """Return the number of the host's Debian release; that of the oldest we know of when it tells none."""
    with open("/etc/os-release") as file:
        words = dict(line.strip().split("=", 1) for line in file if "=" in line)
    number = words.get("VERSION_ID", "").strip('"')
    return int(number) if number.isdecimal() else 12


def interactive(request: Request) -> int:
    """Boot with the console on this terminal; return QEMU's status when it has ended."""
    with recorder(request.events) as listener, vm(request, listener, terminal=True) as guest:
        try:
            guest.wait_stopped(timeout=NO_LIMIT)
        finally:
            guest.stop()
        return guest.session.status or 0


def headless(request: Request, sink: Callable[[str, bytes], None], live: list[Machine]) -> Outcome:
    """Boot, run the command, power off. Raises VmError, OSError. `live` holds the machine meanwhile: others may stop it."""
    began = time.monotonic()
    deadline = began + request.limit

    def left() -> float:
        return max(1.0, deadline - time.monotonic())

    with recorder(request.events) as listener, vm(request, listener) as guest:
        live.append(guest)
        try:
            services = announcing(files(request.image))
            speaker = guest if request.board.ports else Talk(guest)
            if isinstance(speaker, Talk):
                speaker.login(left())
            speaker.wait_booted(services, timeout=left())
            ready = time.monotonic() - began
            result = speaker.run(request.command, timeout=left(), sink=sink)
            if isinstance(speaker, Talk):
                speaker.restart()
                ended(guest, left())
            else:
                power_off(guest, left())
        finally:
            live.remove(guest)
        outcome = Outcome(request.board.name, result.status, times(guest.events))
    if not request.kernel:
        verified(request, ready)
    return outcome


def power_off(guest: Machine, limit: float) -> None:
    """Have the guest end itself. A machine that has no switch stays on when its kernel has halted: then it has done its part."""
    guest.begin("poweroff")

    def switched() -> bool | None:
        """True once QEMU has ended or the guest said that it is ending; None to wait on."""
        return guest.session.status is not None or guest.session.history.find("ending") is not None or None

    guest.until_told("power off", switched, limit)
    try:
        guest.wait_stopped(timeout=min(limit, 20.0))
    except EndedError:
        return


def ended(guest: Machine, limit: float) -> None:
    """Wait for the end of a machine without ports; one that has no switch is ended by us: its part is done."""
    with contextlib.suppress(VmError):
        guest.wait_stopped(timeout=min(limit, 60.0))


def vm(request: Request, listener: Callable[[Event], None], *, terminal: bool = False) -> Machine:
    return Machine(
        request.board, request.image, memory=request.memory, forward=request.forwards, kernel=request.kernel,
        terminal=terminal, listener=listener, flash=request.flash, emulator=request.emulator,
    )  # fmt: skip


def files(image: Image) -> list[str]:
    """Return the paths of the image's files, from its manifest."""
    return [row["path"] for row in json.loads(image.manifest.read_text())["files"]]


class recorder:  # noqa: N801 -- used like a function
    """A context: gives a listener that copies event lines to a file, at once; to none when there is no path."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "w", buffering=1) if path else None  # noqa: SIM115 -- closed by __exit__

    def __enter__(self) -> Callable[[Event], None]:
        """Return the listener."""
        return self.record

    def record(self, event: Event) -> None:
        if self.file:
            self.file.write(event.line + "\n")

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self.file:
            self.file.close()


def verified(request: Request, seconds: float) -> None:
    """Write down that this image boots, for `inv boards`."""
    kernel = json.loads(request.image.manifest.read_text())["kernel"]["release"]
    date = datetime.now(tz=UTC).isoformat(timespec="seconds")
    record(
        request.board.name, request.board.chain, Verified(date=date, kernel=kernel, seconds=round(seconds, 1))
    )


def events_file(path: str, board: str, several: bool) -> str:
    """Return the file for one board's events: of several boards, each gets its own."""
    return f"{os.fspath(path)}.{board}" if path and several else path
