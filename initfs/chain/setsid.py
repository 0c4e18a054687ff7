"""setsid: a new session, or a new process group, perhaps in the foreground of the terminal.

Source: `spec/chainloading.md` 3.4.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain
from initfs.chain.descriptors import number
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

USAGE = "setsid [-s | -b | -f | -g] [-i | -I | -q] [-d fd] prog..."
WHAT = {
    "s": "make a session",
    "b": "make a process group",
    "f": "come to the foreground",
    "g": "grab the terminal",
}


def main(argv: list[str]) -> int:
    found, rest = parse(argv[1:], "sbfgiIqd:", USAGE)
    if not rest:
        raise say.usage(USAGE)
    what, strict, terminal = "s", "I", -1
    for letter, text in found:
        if letter in WHAT:
            what = letter
        elif letter == "d":
            terminal = number(text, USAGE)
        else:
            strict = letter
    try:
        _change(what, terminal)
    except OSError as error:
        if strict == "i":
            raise say.unable(WHAT[what], error) from None
        if strict == "I":
            say.warning(f"unable to {WHAT[what]}: {say.reason(error)}")
    return chain.run(rest, USAGE)


def _change(what: str, terminal: int) -> None:
    if what == "s":
        os.setsid()
        return
    os.setpgid(0, 0)
    if what == "b":
        return
    fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC) if terminal == -1 else terminal
    try:
        _foreground(fd, force=what == "g")
    finally:
        if fd != terminal:
            os.close(fd)


def _foreground(fd: int, *, force: bool) -> None:
    """Make ours the terminal's foreground group. Without FORCE the kernel stops us (SIGTTOU) until that is our right."""
    if not force:
        os.tcsetpgrp(fd, os.getpgrp())
        return
    # Blocked is as good as ignored, and the signal's disposition, which is not ours to change, stays as it was.
    old = _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGTTOU])
    try:
        os.tcsetpgrp(fd, os.getpgrp())
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, old)
