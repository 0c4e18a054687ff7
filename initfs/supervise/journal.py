"""Events for machines: every transition and milestone as one JSON line, remembered and handed to whoever listens.

The schema is in `docs/events.md`. `json` and `socket` are not imported: process 1 writes one shape of object, to one
kind of socket. Nothing here waits: a subscriber whose buffer is full is disconnected.
"""

from __future__ import annotations

import _socket
import os
import time

from initfs import files, say
from initfs.loop import HUNG_UP, READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initfs.loop import Loop

REMEMBERED = 512
LINE_MAX = 4096
TEXT_MAX = 300  # of a reason: a line stays below LINE_MAX when each character is two escapes of six
SUBSCRIBERS, BACKLOG = 16, 16


def encode(seq: int, boot: str, when: float, service: str, event: str, pid: int, reason: str) -> bytes:
    """One event line, in ASCII, with its newline."""
    return (
        f'{{"seq":{seq},"boot":{quote(boot)},"time":{when:.6f},"service":{quote(service)},'
        f'"event":{quote(event)},"pid":{pid},"reason":{quote(reason[:TEXT_MAX])}}}\n'
    ).encode("ascii")


def quote(text: str) -> str:
    """TEXT as a JSON string (RFC 8259 section 7) in ASCII; what is not Unicode becomes U+FFFD."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    escaped = []
    for character in text:
        code = ord(character)
        if character in '"\\':
            escaped.append("\\" + character)
        elif 0x20 <= code < 0x7F:
            escaped.append(character)
        elif 0xD800 <= code < 0xE000:
            escaped.append("\\ufffd")
        elif code > 0xFFFF:
            high, low = divmod(code - 0x10000, 0x400)
            escaped.append(f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}")
        else:
            escaped.append(f"\\u{code:04x}")
    return '"' + "".join(escaped) + '"'


class Journal:
    """The events of one tree. They are encoded when somebody listens, not before: a start must not wait for it.

    While it is held, events are remembered only: who hears of one must find its state in the files.
    """

    def __init__(self) -> None:
        self._boot = (files.read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()
        self.seq = self._handed_out = 0
        self._held = False
        self._events: list[tuple[int, float, str, str, int, str]] = []
        self._listener: _socket.socket | None = None
        self._subscribers: dict[int, _socket.socket] = {}
        self._loop: Loop | None = None
        self._last = -1
        self.on_event: Callable[[str, str], None] | None = None  # told of (service, event)

    def publish(self, service: str, event: str, pid: int = 0, reason: str = "", when: float = 0.0) -> None:
        """Remember an event that happened WHEN (monotonic seconds; 0: now) and send it to the subscribers."""
        self.seq += 1
        event_line = (self.seq, when or time.monotonic(), service, event, pid, reason)
        self._events.append(event_line)
        if not self._held or self._last >= 0 or self.seq - self._handed_out > REMEMBERED:
            self._hand_out()
        if len(self._events) > REMEMBERED:
            del self._events[0]
        if self.on_event is not None:
            self.on_event(service, event)

    def hold(self) -> None:
        """Keep what is published until `release`, or until it is more than can be remembered."""
        self._held = True

    def release(self) -> None:
        """Send what was held, and from here on all at once."""
        if self._held:
            self._held = False
            self._hand_out()

    def _encode(self, event: tuple[int, float, str, str, int, str]) -> bytes:
        seq, when, service, name, pid, reason = event
        return encode(seq, self._boot, when, service, name, pid, reason)

    def _hand_out(self) -> None:
        """Send what has not been sent, one line at a time."""
        new, self._handed_out = self.seq - self._handed_out, self.seq
        if not self._subscribers and self._last < 0:
            return
        for event in self._events[-new:] if new else ():
            line = self._encode(event)
            for fd in list(self._subscribers):
                self._send(fd, line)
            if self._last >= 0:
                self._write_last(line)

    def listen(self, loop: Loop, path: str) -> None:
        """Serve subscribers on the socket PATH, relative to the working directory; that it cannot be made is said, and changes nothing else."""
        listener = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        )
        try:
            files.remove(path)
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            say.warning(f"unable to serve events on {path}: {say.reason(error)}")
            listener.close()
            return
        self.serve(loop, listener)

    def serve(self, loop: Loop, listener: _socket.socket) -> None:
        """Serve subscribers on a socket that listens already."""
        self._loop, self._listener = loop, listener
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        loop.watch(listener.fileno(), self._accept)

    def write_last(self, fd: int, after: int) -> None:
        """Write the events after number AFTER, and all that come, to FD. Its reader knows what it has had by `seq`."""
        self.release()
        self._last = fd
        self._write_last(b"".join(self._encode(event) for event in self._events if event[0] > after))

    def _write_last(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._last, data) :]
            except OSError:
                return

    def _accept(self) -> None:
        assert self._listener is not None
        assert self._loop is not None
        os.close(
            self._reserve
        )  # so that a connection can be refused when no descriptor is left, instead of waiting for ever
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            fd = -1
        if fd >= 0 and len(self._subscribers) >= SUBSCRIBERS:
            os.close(fd)
            fd = -1
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if fd < 0:
            return
        subscriber = _socket.socket(fileno=fd)
        subscriber.setblocking(False)
        self._subscribers[fd] = subscriber
        self._loop.watch(fd, lambda: self._drop(fd), READ | HUNG_UP)
        self._send(
            fd, b"".join(self._encode(event) for event in self._events if event[0] <= self._handed_out)
        )

    def _send(self, fd: int, data: bytes) -> None:
        try:
            whole = self._subscribers[fd].send(data, _socket.MSG_NOSIGNAL) == len(data)
        except OSError:
            whole = False
        if not whole:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        if self._loop is not None:
            self._loop.forget(fd)
        self._subscribers.pop(fd).close()
