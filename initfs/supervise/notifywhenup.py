"""notifywhenup: the old way to readiness, for old run scripts. New ones have a file `notification-fd` instead.

Source: `spec/notification.md` 4.6. With that file, the daemon's descriptor simply becomes the supervisor's. Without it,
a process aside waits for the newline, records the readiness and tells the listeners itself.
"""

from __future__ import annotations

import os
import time

from initfs import files, say, tai
from initfs.loop import NEVER
from initfs.notify import fifodir, readiness
from initfs.notify.arguments import until
from initfs.notify.child import become
from initfs.options import number, parse
from initfs.supervise import status

USAGE = "notifywhenup [-d fd] [-e fifodir] [-f] [-t ms] prog..."
FLAGS = 34  # where the oldest readers look for them


def main(argv: list[str]) -> int:
    options, program = parse(argv[1:], "d:e:ft:", USAGE)
    given = dict(options)
    if not program:
        raise say.usage(USAGE)
    fd, events = number(given.get("d", "1"), USAGE), given.get("e", "event")
    deadline = until(given["t"], USAGE) if "t" in given else NEVER
    own = readiness.own_fd()
    if own is None:
        readiness.pipe(
            fd,
            lambda reader, pid, daemon: relay(reader, pid, daemon, events, deadline),
            direct="f" in given,
        )
    elif own != fd:
        try:
            os.dup2(own, fd)
        except OSError as error:
            raise say.unable(f"give descriptor {own} the number {fd}", error) from error
        os.close(own)
    return become(program, USAGE)


def relay(reader: int, pid: int, daemon: int, events: str, deadline: float) -> int:
    """Wait for a newline; record and tell: 0 told, 1 no newline came, 99 timed out."""
    code = readiness.wait(reader, readiness.newline(reader), daemon, deadline)
    if code == say.OK:
        record(pid)
        fifodir.notify(events, b"U")
    return code


def record(pid: int) -> None:
    """Say in ./supervise that PID is ready: the stamp in `ready`, the flag in `status` as long as that is about PID.

    The flag is one byte, written in place: should the supervisor replace the file just now, the old one is changed,
    which nobody reads any more.
    """
    files.write("supervise/ready", tai.pack(time.time_ns()))
    fd = os.open("supervise/status", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        content = os.read(fd, files.KNOB_SIZE)
        said = status.decode(content)
        if said.state == status.RUN and said.pid == pid:
            for place in {FLAGS, status.flags_at(content)}:
                os.pwrite(fd, bytes([content[place] | status.READY]), place)
    except ValueError as error:
        say.warning(f"unable to record readiness: {error}")
    finally:
        os.close(fd)
