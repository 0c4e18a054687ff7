"""The first things that process 1 does: its output into the catch-all's FIFO, the keyboard, and stage 2 when somebody reads."""

from __future__ import annotations

import fcntl
import os

from initfs import files, say, signals
from initfs.supervise.scanner import CATCH_ALL

SCANDIR = "/run/service"
FIFO = f"{SCANDIR}/{CATCH_ALL}/fifo"
KDSIGACCEPT = 0x4B4E  # linux/kd.h: which signal the keyboard's special request sends


def open_log(*, fifo: bool = True) -> int:
    """Put all output into the catch-all's FIFO, if there is to be one, and return the console.

    The reading end is opened first, so that opening the writing end does not wait for the logger, and it is kept: what early
    services write before the logger reads is held by the kernel, and kills nobody. Services inherit a writing end that blocks, as
    they expect; ours is another that never does.
    """
    console = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    if not fifo:
        return console
    try:
        os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        ours = os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        theirs = os.open(FIFO, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        say.warning(f"unable to open the catch-all's FIFO: {say.reason(error)}; messages stay on the console")
        return console
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)
    os.close(theirs)
    say.stream = ours
    return console


def hold_log() -> int:
    """A descriptor that keeps the FIFO and what is in it while we execute ourselves anew; -1 when there is none."""
    try:
        return os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1


def accept_keyboard() -> None:
    """Have the keyboard's special request arrive as SIGWINCH; a board without a screen has no tty0."""
    try:
        fd = os.open("/dev/tty0", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    files.tried("accept the keyboard's request", lambda: fcntl.ioctl(fd, KDSIGACCEPT, signals.WINCH))
    os.close(fd)
