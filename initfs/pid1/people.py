"""People who are logged in: told by wall messages; and the log of logins, wtmp. None of it may hold an end of the machine."""

from __future__ import annotations

import os
import time

from initfs import files, say
from initfs.pid1 import logins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.logins import Login

UTMP, WTMP, TERMINALS = "/run/utmp", "/var/log/wtmp", "/dev"
UTMP_SIZE = 1 << 20
CONTROLS = {code: None for code in range(32) if chr(code) != "\n"}  # a message must not play with terminals


def wide() -> bool:
    """Whether this machine's records are the longer ones."""
    return os.uname().machine in logins.WIDE


def logged_in() -> list[Login]:
    """Who is logged in; nobody when that can't be read."""
    try:
        data = files.read(UTMP, size=UTMP_SIZE) or b""
    except OSError as error:
        say.warning(f"unable to read {UTMP}: {say.reason(error)}")
        return []
    return logins.users(logins.read(data, wide=wide()))


def tell(message: str) -> None:
    """Write a message to the terminal of everybody who is logged in. One that does not take it at once does not get it."""
    shown = f"\r\n{message.translate(CONTROLS)}\n".replace("\n", "\r\n").encode(errors="replace")
    for login in logged_in():
        if ".." in login.line.split("/"):
            continue
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(f"{TERMINALS}/{login.line}", flags)
        except OSError:
            continue
        try:
            os.write(fd, shown)
        except OSError:
            continue
        finally:
            os.close(fd)


def record(kind: int, user: str) -> None:
    """Add the machine's own beginning or end to wtmp, if there is one."""
    try:
        fd = os.open(WTMP, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, logins.mark(kind, user, os.uname().release, time.time_ns(), wide=wide()))
    except OSError as error:
        say.warning(f"unable to write to {WTMP}: {say.reason(error)}")
    finally:
        os.close(fd)


def this_host(program: str) -> None:
    """Ask the person at the terminal for the name of this machine. say.Fatal 1 when it is another."""
    if not os.isatty(0):
        raise say.Fatal(say.NO, "-i needs a terminal to ask at")
    os.write(1, f"{program}: name of the machine: ".encode())
    name = os.read(0, 256).decode(errors="replace").strip()
    if name.lower() != os.uname().nodename.partition(".")[0].lower():
        raise say.Fatal(say.NO, "this is another machine; nothing done")
