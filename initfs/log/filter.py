"""What tai64n, tai64nlocal and ucspilogd share: standard input to standard output, in blocks of whole lines."""

from __future__ import annotations

import os

from initfs import say, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 65536
LINE_MAX = 1 << 20  # a longer line is passed on in pieces


def run(change: Callable[[bytes], bytes], *, ended: bool = False) -> int:
    """Write what CHANGE makes of each block that is read, as soon as it has come. Returns the exit code.

    With ENDED the last line gets a newline when it has none. What is longer than LINE_MAX is changed in pieces.
    """
    signals.default(signals.PIPE)
    rest = b""
    while data := read():
        rest += data
        used = rest.rfind(b"\n") + 1 or (len(rest) if len(rest) > LINE_MAX else 0)
        write(change(rest[:used]))
        rest = rest[used:]
    if rest:
        write(change(rest + b"\n" if ended else rest))
    return say.OK


def read() -> bytes:
    """The next block of standard input. say.Fatal 111."""
    try:
        return os.read(0, AT_ONCE)
    except OSError as error:
        raise say.unable("read standard input", error) from error


def write(data: bytes) -> None:
    """All of it to standard output. say.Fatal 111."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(1, view) :]
    except OSError as error:
        raise say.unable("write to standard output", error) from error
