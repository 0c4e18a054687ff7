"""led: show the state of the machine on a light of the kernel's LED class, for as long as it runs.

Source: Documentation/leds/leds-class.rst of the kernel. The kernel blinks, so that nothing wakes for it; this waits for events.
"""

from __future__ import annotations

import _socket
import os

from initfs import files, options, say
from initfs.pid1 import lights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.pid1.lights import Blink

USAGE = "led [-d directory] [-s socket] [name...]"
DIRECTORY, SOCKET = "/sys/class/leds", "/run/initfs/events"


def main(argv: list[str]) -> int:
    given, names = options.parse(argv[1:], "d:s:", USAGE)
    found = dict(given)
    directory = found.get("d", DIRECTORY)
    if not names:
        try:
            names = list(filter(None, [lights.choose(os.listdir(directory))]))
        except OSError as error:
            raise say.unable(f"read {directory}", error) from error
    if not names:
        raise say.Fatal(say.USAGE, "this machine has no light")
    paths = [f"{directory}/{name}" for name in names]
    events = connect(found.get("s", SOCKET))
    now, rest = lights.BOOTING, b""
    show(paths, lights.PATTERNS[now])
    while data := events.recv(65536):
        *lines, rest = (rest + data).split(b"\n")
        after = now
        for line in lines:
            after = lights.state(after, field(line, b"service"), field(line, b"event"))
        if after != now:
            show(paths, lights.PATTERNS[after])
            now = after
    show(paths, lights.PATTERNS[lights.GONE])
    raise say.Fatal(say.TEMPORARY, "the events have ended")


def connect(path: str) -> _socket.socket:
    """Subscribe to the events of process 1."""
    events = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        events.connect(path)
    except OSError as error:
        raise say.unable(f"listen to {path}", error) from error
    return events


def field(line: bytes, name: bytes) -> str:
    """A text of an event line. The names of milestones need no escapes."""
    return line.partition(b'"%s":"' % name)[2].partition(b'"')[0].decode()


def show(paths: list[str], blink: Blink) -> None:
    """Have the kernel blink. A light that can't is left as it is, and said."""
    for path in paths:
        try:
            files.put(f"{path}/trigger", b"heartbeat" if blink.heartbeat else b"timer")
            if not blink.heartbeat:  # these files come with the trigger
                files.put(f"{path}/delay_on", b"%d" % blink.on)
                files.put(f"{path}/delay_off", b"%d" % blink.off)
        except OSError as error:
            say.warning(f"unable to light {path}: {say.reason(error)}")
