"""svstat: print the state of supervised services: in words, as fields, or as JSON.

Source: `spec/supervision.md` 1.6; where s6's code and documentation disagree, its documentation. With several directories each
line begins with the directory.
"""

from __future__ import annotations

import os
import time

from initfs import files, options, say, tai
from initfs.supervise import client
from initfs.supervise.status import DOWN, FINISH, RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.supervise.status import Status

USAGE = "svstat [-uwNrpgest | -o field,...] [-n] [--json] servicedir..."
FLAGS = {
    "u": "up",
    "w": "wantedup",
    "N": "normallyup",
    "r": "ready",
    "p": "pid",
    "g": "pgid",
    "e": "exitcode",
    "s": "signal",
    "t": "updownfor",
}
FIELDS_MAX = 16


def main(argv: list[str]) -> int:
    given, names = options.parse(argv[1:], "uwNrpgestno:J", USAGE, {"json": "J"})
    fields = _fields(given)
    if not names:
        raise say.usage(USAGE)
    flags = {option for option, _ in given}
    code = say.OK
    for name in names:
        directory = client.locate(name)
        prefix = f"{name}: " if len(names) > 1 and "J" not in flags else ""
        try:
            status = client.read_status(directory)
        except say.Fatal as fatal:
            say.fatal(str(fatal))
            code = fatal.code
            continue
        print(prefix + _line(directory, status, fields, flags), flush=True)
    return code


def _fields(given: list[tuple[str, str]]) -> list[str]:
    fields: list[str] = []
    for option, value in given:
        fields += value.split(",") if option == "o" else [FLAGS[option]] if option in FLAGS else []
    if len(fields) > FIELDS_MAX or any(field not in FIELDS for field in fields):
        raise say.usage(USAGE)
    return fields


def _line(directory: str, status: Status, fields: list[str], flags: set[str]) -> str:
    normally_up = not os.path.exists(f"{directory}/down")
    failure = _failure(directory) if status.state == DOWN else ""
    seen = Seen(status, normally_up, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, failure)
    if "J" in flags:
        return as_json(directory, seen)
    if fields:
        return " ".join(FIELDS[field](seen) for field in fields)
    return in_words(seen, numeric="n" in flags)


def _failure(directory: str) -> str:
    """Why the last start failed, if it did."""
    try:
        return (files.read(f"{directory}/supervise/failure") or b"").decode(errors="replace").strip()
    except OSError:
        return ""


class Seen:
    """A status, and what can be said of it now."""

    def __init__(self, status: Status, normally_up: bool, boot_time: int, failure: str = "") -> None:
        """BOOT_TIME is CLOCK_BOOTTIME now, in microseconds."""
        self.status = status
        self.normally_up = normally_up
        self.failure = failure
        age = boot_time - status.since if status.since else (time.time_ns() - status.changed) // 1000
        self.age = max(0, age) // 1_000_000
        self.ready_age = max(0, boot_time - status.readied) // 1_000_000 if status.readied else 0
        self.signum = status.wait_status & 0x7F
        self.exit_code = status.wait_status >> 8

    @property
    def signal(self) -> str:
        """The name, without SIG, of the signal that ended it. Its table costs a start more than reading the status does."""
        from initfs import signals

        return signals.name(self.signum)

    @property
    def ended(self) -> bool:
        """A run has ended, and its end is what the status tells."""
        return self.status.state != RUN and self.status.ran


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _ago(age: int) -> str:
    """The label of the instant AGE seconds ago."""
    return tai.label(time.time_ns() - age * 1_000_000_000)


def _ready_age(seen: Seen) -> int:
    """Since when it is ready, or, when it is down, ready to be started."""
    return seen.ready_age if seen.status.ready else seen.age


FIELDS: dict[str, Callable[[Seen], str]] = {
    "up": lambda seen: _truth(seen.status.state == RUN),
    "wantedup": lambda seen: _truth(seen.status.wanted),
    "normallyup": lambda seen: _truth(seen.normally_up),
    "ready": lambda seen: _truth(seen.status.ready or seen.status.state == DOWN),
    "paused": lambda seen: _truth(seen.status.paused),
    "pid": lambda seen: str(seen.status.pid or -1),
    "pgid": lambda seen: str(seen.status.group or seen.status.pid or -1),
    "exitcode": lambda seen: str(seen.exit_code if seen.ended and not seen.signum else -1),
    "signal": lambda seen: f"SIG{seen.signal}" if seen.ended and seen.signum else "NA",
    "signum": lambda seen: str(seen.signum if seen.ended and seen.signum else -1),
    "updownsince": lambda seen: tai.label(seen.status.changed),
    "readysince": lambda seen: _ago(_ready_age(seen)),
    "updownfor": lambda seen: str(seen.age),
    "readyfor": lambda seen: str(_ready_age(seen)),
}


def in_words(seen: Seen, *, numeric: bool = False) -> str:
    """The human line."""
    status = seen.status
    if status.state == RUN:
        words = [f"up (pid {status.pid} pgid {status.pid}) {seen.age} seconds"]
        words += ["normally down"] * (not seen.normally_up)
        words += ["paused"] * status.paused
        words += ["want down"] * (not status.wanted)
        words += [f"ready {seen.ready_age} seconds"] * status.ready
        return ", ".join(words)
    words = [f"down ({_end(seen, numeric)}) {seen.age} seconds"]
    words += [f"finishing (pid {status.pid})"] * (status.state == FINISH)
    words += ["normally up"] * seen.normally_up
    words += ["want up"] * status.wanted
    words += [seen.failure] * bool(seen.failure)
    return ", ".join(words)


def _end(seen: Seen, numeric: bool) -> str:
    if not seen.status.ran:
        return "not started yet"
    if not seen.signum:
        return f"exitcode {seen.exit_code}"
    return f"signal {seen.signum}" if numeric else f"signal SIG{seen.signal}"


def as_json(directory: str, seen: Seen) -> str:
    """All fields as one JSON object."""
    import json

    status = seen.status
    found = {
        "directory": directory,
        "state": ("down", "up", "finish")[status.state],
        "pid": status.pid,
        "wanted_up": status.wanted,
        "normally_up": seen.normally_up,
        "ready": status.ready,
        "paused": status.paused,
        "seconds": seen.age,
        "ready_seconds": seen.ready_age if status.ready else None,
        "exit_code": seen.exit_code if seen.ended and not seen.signum else None,
        "signal": seen.signal if seen.ended and seen.signum else None,
        "failure": seen.failure or None,
    }
    return json.dumps(found)
