"""The status file: 35 bytes that every suite's clients read as their own, and ours.

    0-11   TAI64N of the last change between up and down        all
    12-15  pid, little endian                                   daemontools, runit
    16     paused       17  want: `u` or `d`                    daemontools, runit
    18     got TERM     19  0 down, 1 run, 2 finish             runit
    20-23  zero
    24-31  pid, big endian                                      s6
    32-33  wait status of the last run, big endian              s6
    34     1 paused, 2 finishing, 4 wanted up, 8 ready          s6
    40-42  wait status and flags again                          s6 2.13, which has a process group at 32-39
    43-50  CLOCK_BOOTTIME microseconds of that change           ours
    51-58  CLOCK_BOOTTIME microseconds of readiness, or 0       ours
    59-62  pid of the last run, which names its process group   ours

With the boot-time of its start a pid names one process for ever, and ages are right on a board whose clock jumps.

s6 reads 12-23 as the time of readiness, so that its "ready N seconds" is nonsense here; all else is right in all of
them (`facts/peers.md` 7.3). Stamps count 10 seconds from UTC as daemontools and runit do; s6 shows 27 seconds more.
In s6's encoding "down and finished" is the ready flag with pid 0, "never started" the paused flag with pid 0.
"""

from __future__ import annotations

from initfs import tai
from initfs.value import value

LENGTH = 63
SIZE = 35  # what s6's clients need
SHORT = (18, 20)  # what daemontools' supervise and runsv write
DOWN, RUN, FINISH = 0, 1, 2
PAUSED, FINISHING, WANTED, READY = 1, 2, 4, 8


@value
class Status:
    """What a status file says."""

    state: int  # DOWN, RUN, FINISH
    pid: int
    wanted: bool
    ready: bool
    paused: bool
    termed: bool
    ran: bool  # it was started at least once
    wait_status: int  # of the last run
    changed: int  # nanoseconds since 1970: the last change between up and down
    since: int = 0  # CLOCK_BOOTTIME microseconds of that change, 0 when not known
    readied: int = 0  # CLOCK_BOOTTIME microseconds of readiness, 0 when it is not ready or not known
    group: int = 0  # process group of the last run, 0 when there was none or it is not known


def flags_at(data: bytes) -> int:
    """Where s6's flags are in a status file: since s6 2.13 a process group stands before them. Ours has them in both places."""
    return 42 if len(data) > 42 else 34


def encode(status: Status) -> bytes:
    """The content of `supervise/status`. By hand: the module `struct` costs a client more time than all the rest of this."""
    flags = PAUSED if status.paused or not (status.ran or status.pid) else 0
    flags |= FINISHING if status.state == FINISH else 0
    flags |= WANTED if status.wanted else 0
    flags |= READY if status.ready or status.state == DOWN else 0
    ended = status.wait_status.to_bytes(2, "big") + bytes((flags,))
    return b"".join(
        (
            tai.pack(status.changed),
            status.pid.to_bytes(4, "little"),
            bytes((status.paused, ord("u" if status.wanted else "d"), status.termed, status.state)),
            status.pid.to_bytes(12, "big"),
            ended,
            status.wait_status.to_bytes(7, "big"),
            bytes((flags,)),
            status.since.to_bytes(8, "big"),
            status.readied.to_bytes(8, "big"),
            status.group.to_bytes(4, "big"),
        )
    )


def decode(data: bytes) -> Status:
    """The Status in DATA: ours, or the 18 bytes of daemontools, or the 20 of runsv, which know less.

    ValueError for what no supervisor writes.
    """
    if len(data) < SIZE and len(data) not in SHORT:
        raise ValueError(f"{len(data)} bytes instead of {SIZE}")
    size = len(data)
    data = data[:LENGTH].ljust(LENGTH, b"\0")
    pid = int.from_bytes(data[12:16], "little")
    paused, want, termed, state = data[16:20]
    flags = data[34]
    if state > FINISH or want not in b"ud\0":
        raise ValueError("not a status that a supervisor writes")
    if size == min(SHORT):
        state = RUN if pid else DOWN
    return Status(
        state=state,
        pid=pid,
        wanted=bool(flags & WANTED) or (size in SHORT and want == ord("u")),
        ready=bool(flags & READY) and state == RUN,
        paused=bool(paused),
        termed=bool(termed),
        ran=bool(pid) or not flags & PAUSED,
        wait_status=int.from_bytes(data[32:34], "big"),
        changed=tai.unpack(data),
        since=int.from_bytes(data[43:51], "big"),
        readied=int.from_bytes(data[51:59], "big"),
        group=int.from_bytes(data[59:63], "big"),
    )


def stat_words(status: Status) -> str:
    """What `supervise/stat` says, for scripts, as runsv writes it."""
    words = [("down", "run", "finish")[status.state]]
    words += ["paused"] * status.paused
    words += ["got TERM"] * status.termed
    if status.state == RUN and not status.wanted:
        words.append("want down")
    return ", ".join(words)
