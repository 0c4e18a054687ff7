"""What a killed svscan left running, found again: the process of a status file, and the pipe between service and logger.

A pid alone proves nothing: it may be another process's by now. The status file has the boot-time of the start, and so has
/proc/PID/stat (field 22, in clock ticks, proc(5)): the two together name one process. A pipe whose holder died still has its ends in
the service and in the logger, and opening /proc/PID/fd/N opens the same pipe anew, for whichever direction is asked for.
"""

from __future__ import annotations

import os

from initfs import files
from initfs.supervise.status import FINISH, RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.supervise.status import Status

# How many clock ticks may lie between the kernel's stamp and ours, on a busy machine: ours is taken right before the spawn of
# `run`, and right after that of `finish`.
TICKS = {RUN: (-2, 100), FINISH: (-100, 2)}
KIND, FIFO = 0o170000, 0o010000


def start_ticks(stat: bytes) -> int:
    """Field 22 of a /proc/PID/stat: clock ticks from boot to the start. The name in field 2 may hold anything."""
    return int(stat.rpartition(b")")[2].split()[19])


def lives(status: Status | None) -> bool:
    """Whether the `run` or `finish` that a status file tells of is still that process, and alive."""
    if status is None or status.state not in TICKS or status.pid <= 1:
        return False
    try:
        stat = files.read(f"/proc/{status.pid}/stat")
        if not stat or stat.rpartition(b")")[2].split()[0] in b"ZX":
            return False
        ticks = start_ticks(stat) - status.since * os.sysconf("SC_CLK_TCK") // 1_000_000
    except (OSError, ValueError, IndexError):
        return False
    earliest, latest = TICKS[status.state]
    return earliest <= ticks <= latest


def pipe_ends(producer: Status | None, logger: Status | None) -> tuple[int, int] | None:
    """(reading, writing) of the pipe between two living processes, or what one of them still holds of it; None for none."""
    for status, number in ((logger, 0), (producer, 1)):
        if status is not None and lives(status):
            ends = _reopen(f"/proc/{status.pid}/fd/{number}")
            if ends is not None:
                return ends
    return None


def notification_end(status: Status, number: int) -> int:
    """The reading end of a pipe on which a service may still announce readiness; -1 when there is none."""
    path = f"/proc/{status.pid}/fd/{number}"
    try:
        if os.stat(path).st_mode & KIND == FIFO:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        pass
    return -1


def _reopen(path: str) -> tuple[int, int] | None:
    try:
        if os.stat(path).st_mode & KIND != FIFO:
            return None
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        os.close(reading)
        return None
    os.set_blocking(reading, True)  # as pipe(2) makes them: services expect it
    os.set_blocking(writing, True)
    return reading, writing
