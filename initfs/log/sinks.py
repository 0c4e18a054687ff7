"""The actions that are no log directories: standard output, alerts on standard error, a status file.

Source: `spec/logging.md` 2.2. They have the interface of a Logdir as far as a stream uses it. What they have written cannot be taken back:
a block that is written again after a kill is there twice.
"""

from __future__ import annotations

import os
import time

from initfs import say
from initfs.log.record import Place
from initfs.log.stamp import TooMuch, before_each
from initfs.loop import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.script import Action

GROWTH_MAX = 1 << 20  # bytes that alerts may add to a block
FULL = 0.02  # seconds until a full pipe is tried again


class Sink:
    """What all of them share."""

    rotate_at = NEVER

    def __init__(self, action: Action) -> None:
        self.path = action.path
        self.again = NEVER
        self._size = action.size
        self._text = b""
        self._at = 0

    @property
    def place(self) -> Place:
        return Place(0, 0, self._at)

    @property
    def settled(self) -> bool:
        return self._at == len(self._text)

    def offer(self, block: bytes, head: bytes, skip: int = 0) -> None:
        self._text = before_each(head, block)
        self._at = min(skip, len(self._text))

    def push(self) -> bool:
        raise NotImplementedError

    def retry(self) -> None:
        self.push()

    def rotate(self) -> None:
        """There is nothing to rotate."""

    def close(self) -> bool:
        return self.push()


class Out(Sink):
    """Standard output, until a write fails."""

    def __init__(self, action: Action) -> None:
        super().__init__(action)
        self._broken = False
        os.set_blocking(1, False)

    def push(self) -> bool:
        """Write what fits now."""
        self.again = NEVER
        while self._at < len(self._text) and not self._broken:
            try:
                self._at += os.write(1, memoryview(self._text)[self._at :])
            except BlockingIOError:
                self.again = time.monotonic() + FULL
                return False
            except OSError as error:
                say.warning(f"unable to write to standard output: {say.reason(error)}; it gets nothing more")
                self._broken = True
        self._at = len(self._text)
        return True


class Alert(Sink):
    """Standard error, shortened lines."""

    def offer(self, block: bytes, head: bytes, _skip: int = 0) -> None:
        """Shorten; whatever was said before a kill is said again."""
        if block.count(b"\n") * (len(head) + 16) > GROWTH_MAX:
            raise TooMuch
        start = self.start() + head
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        self._text = b"".join([start + shortened(line, self._size) + b"\n" for line in lines])
        self._at = 0

    def start(self) -> bytes:
        """What an alert begins with."""
        return f"{say.program}: alert: ".encode()

    def push(self) -> bool:
        """Say it; that it cannot be said is nobody's news."""
        while self._at < len(self._text):
            try:
                self._at += os.write(2, memoryview(self._text)[self._at :])
            except OSError:
                break
        self._at = len(self._text)
        return True


class Stderr(Alert):
    """Standard error, shortened lines, and nothing before them."""

    def start(self) -> bytes:
        """It begins with its stamp."""
        return b""


def shortened(line: bytes, size: int) -> bytes:
    """The first SIZE bytes and `...`, of a line that is longer by more than those three; 0: all of it."""
    return line[:size] + b"..." if size and len(line) > size + 3 else line


class Status(Sink):
    """A file that is always the last line, padded."""

    def offer(self, block: bytes, head: bytes, _skip: int = 0) -> None:
        """Of a block only the last line would be seen."""
        line = block[block.rfind(b"\n", 0, len(block) - 1) + 1 :].removesuffix(b"\n")
        text = head + line
        self._text = text[: self._size].ljust(self._size, b"\n") if self._size else text + b"\n"
        self._at = 0 if block else len(self._text)

    def push(self) -> bool:
        """Replace the file; a status that cannot be written is replaced by the next."""
        if self._at < len(self._text):
            self._at = len(self._text)
            try:
                self._replace()
            except OSError as error:
                say.warning(f"unable to write {self.path}: {say.reason(error)}")
        return True

    def _replace(self) -> None:
        new = self.path + ".new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, self._text)
        finally:
            os.close(fd)
        os.rename(new, self.path)
