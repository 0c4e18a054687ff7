"""Readiness, seen from beside the daemon: wait until it tells, closes, ends, or the time is over.

Source: `spec/notification.md` 4.5 and 4.6. A daemon tells by a newline on a descriptor, or by a datagram with the
line READY=1 to NOTIFY_SOCKET; the bridges of this directory translate.
"""

from __future__ import annotations

import os

from initfs import files, say
from initfs.loop import NEVER, Loop, now
from initfs.notify.child import aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 65536
AT_ONCE = 256  # datagrams of one turn: a flood must not keep us from the deadline


def wait(fd: int, told: Callable[[], bool | None], daemon: int, deadline: float = NEVER) -> int:
    """0 once TOLD says True, 1 when it says False or the DAEMON has ended, 99 when DEADLINE has come.

    TOLD is called when FD is readable, reads all that is there, and says None while there is nothing to say. DAEMON is
    a pidfd: what a daemon told just before its end still counts.
    """
    loop, answers = Loop(), []
    loop.watch(fd, lambda: answers.append(told()))
    loop.watch(daemon, lambda: answers.append(bool(told())))
    try:
        while True:
            if True in answers:
                return say.OK
            if False in answers:
                return say.NO
            if now() >= deadline:
                return say.TIMED_OUT
            answers.clear()
            loop.turn(deadline)
    finally:
        loop.close()


def newline(fd: int) -> Callable[[], bool | None]:
    """A TOLD for a pipe: True with the first newline, False at the end; FD becomes non-blocking."""
    os.set_blocking(fd, False)

    def told() -> bool | None:
        try:
            came = os.read(fd, SIZE)
        except BlockingIOError:
            return None
        return True if b"\n" in came else None if came else False

    return told


def own_fd() -> int | None:
    """The descriptor that ./notification-fd names; None without that file. say.Fatal 100 when it is no number."""
    content = files.read("notification-fd")
    if content is None:
        return None
    word = content.split(b"\n")[0].strip()
    if not word.isdigit() or int(word) >= 2**31:
        raise say.Fatal(say.USAGE, "notification-fd does not hold a number")
    return int(word)


def pipe(fd: int, work: Callable[[int, int, int], int], *, direct: bool) -> None:
    """Give the daemon that this process becomes a pipe as FD, and have WORK(reader, pid, pidfd of it) done aside.

    say.Fatal 111 when the system has no pipe, process or descriptor left.
    """
    try:
        reader, writer = os.pipe()
        pid = os.getpid()
        daemon = os.pidfd_open(pid)

        def beside() -> int:
            os.close(writer)  # or the pipe would never end
            return work(reader, pid, daemon)

        aside(beside, direct=direct)
        os.close(reader)
        os.close(daemon)
        if writer != fd:
            os.dup2(writer, fd)
            os.close(writer)
        os.set_inheritable(fd, True)
    except OSError as error:
        raise say.unable(f"make a pipe of descriptor {fd}", error) from error


def closed(fd: int, deadline: float = NEVER) -> int:
    """Wait until nobody holds the other end of the pipe FD any more: 0, or 99 when DEADLINE came first."""
    loop, ended = Loop(), []
    loop.watch(fd, lambda: ended.append(True), events=0)
    try:
        while not ended:
            if now() >= deadline:
                return say.TIMED_OUT
            loop.turn(deadline)
    finally:
        loop.close()
    return say.OK
