"""What the kernel tells about processes: who descends from whom, their memory, time on a processor, context switches.

A process that sleeps cannot make a system call without being switched in, and is switched out when it sleeps again: as
many context switches after a while as before it, asleep at both moments, means no system call in between.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

PROC = Path("/proc")
RECORD = struct.Struct("=qq")  # what daemon.c writes
PIPE_SIZE = 1 << 20
SLICE = 0.002  # seconds between two looks at the FIFO: whoever is measured needs the processors more


@dataclass(frozen=True, slots=True)
class Arrival:
    """A daemon began."""

    when: int  # CLOCK_MONOTONIC nanoseconds
    pid: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Of some processes together, in kB; pages that several share are counted once, in parts (PSS)."""

    pss: int
    dirty: int

    def __add__(self, other: Memory) -> Memory:
        """Return both together."""
        return Memory(self.pss + other.pss, self.dirty + other.dirty)


class Arrivals:
    """The FIFO that daemons tell their beginning to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def __enter__(self) -> Self:
        """Begin to hear."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hear no more."""
        os.close(self._fd)

    def wait(self, count: int, limit: float) -> list[Arrival]:
        """Return the next COUNT arrivals; a Failure when they have not come within LIMIT seconds."""
        found: list[Arrival] = []
        deadline = time.monotonic() + limit
        while len(found) < count:
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Failure("measure", f"{len(found)} of {count} daemons began within {limit:g} s")
            found += arrivals(os.read(self._fd, PIPE_SIZE))
            time.sleep(SLICE)
        return found


def arrivals(data: bytes) -> list[Arrival]:
    """Return what is in bytes of the FIFO: whole records."""
    return [Arrival(when, pid) for when, pid in RECORD.iter_unpack(data)]


def descendants(parents: Mapping[int, int], root: int) -> set[int]:
    """Return the processes below ROOT, itself included, given everybody's parent."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def parents() -> dict[int, int]:
    """Return every process's parent."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (text := read(entry / "stat")):
            found[int(entry.name)] = parent(text)
    return found


def parent(stat: str) -> int:
    """Return the parent in a text of /proc/PID/stat, whose program's name may hold anything, proc_pid_stat(5)."""
    return int(stat.rpartition(")")[2].split()[1])


def fields(text: str) -> dict[str, int]:
    """Return the numbers of a text of lines `Name: number ...`."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def read(path: Path) -> str:
    """Return a file of /proc; of a process that has ended, nothing."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of the processes together. Asking does not wake them."""
    total = Memory(0, 0)
    for pid in pids:
        found = fields(read(PROC / str(pid) / "smaps_rollup"))
        total += Memory(found.get("Pss", 0), found.get("Private_Dirty", 0))
    return total


def switches(pids: Iterable[int]) -> int:
    """Return how often the processes were switched in, all together."""
    total = 0
    for pid in pids:
        found = fields(read(PROC / str(pid) / "status"))
        total += found.get("voluntary_ctxt_switches", 0) + found.get("nonvoluntary_ctxt_switches", 0)
    return total


def on_cpu(pids: Iterable[int]) -> float:
    """Return the milliseconds that the processes were on a processor, all together; children not included."""
    texts = [read(PROC / str(pid) / "schedstat").split() for pid in pids]
    return sum(int(words[0]) for words in texts if words) / 1e6
