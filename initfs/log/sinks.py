"""The actions that are no log directories: standard output, alerts on standard error, a status file.

Source: `spec/logging.md` 2.2. They have the interface of a Logdir as far as a stream uses it. What they have written cannot be taken back:
a block that is written again after a kill is there twice.
"""

from __future__ import annotations

import os
import time

from initfs import say
from initfs.log.lines import pieces
from initfs.log.record import Place
from initfs.log.stamp import TooMuch, before_each
from initfs.loop import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.script import Action

CUT = b"..."
FULL = 0.02  # seconds until a full pipe is tried again


class Sink:
    """What all of them share: a text on its way to a descriptor."""

    _fd = 2
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

    def offer(self, block: bytes, head: bytes, skip: int = 0, most: int = 0) -> None:
        self._text = before_each(head, block, most)
        self._at = min(skip, len(self._text))

    def push(self) -> bool:
        """Write what fits now; True when nothing is left."""
        self.again = NEVER
        while self._at < len(self._text):
            try:
                self._at += self._write(memoryview(self._text)[self._at :])
            except BlockingIOError:
                self.again = time.monotonic() + FULL
                return False
            except OSError as error:
                self._failed(error)
                self._at = len(self._text)
        return True

    def _write(self, text: memoryview) -> int:
        """How many bytes of TEXT are written. OSError."""
        return os.write(self._fd, text)

    def _failed(self, error: OSError) -> None:
        """A write has failed, and what was offered goes no further. On standard error nobody could be told."""

    def retry(self) -> None:
        self.push()

    def rotate(self) -> None:
        """There is nothing to rotate."""

    def close(self) -> bool:
        return self.push()


class Out(Sink):
    """Standard output, until a write fails."""

    _fd = 1

    def __init__(self, action: Action) -> None:
        super().__init__(action)
        self._broken = False
        os.set_blocking(1, False)

    def _write(self, text: memoryview) -> int:
        return len(text) if self._broken else super()._write(text)

    def _failed(self, error: OSError) -> None:
        say.warning(f"unable to write to standard output: {say.reason(error)}; it gets nothing more")
        self._broken = True


class Alert(Sink):
    """Standard error, shortened lines."""

    def offer(self, block: bytes, head: bytes, _skip: int = 0, most: int = 0) -> None:
        """Shorten; whatever was said before a kill is said again."""
        start = self.start() + head
        if most and block.count(b"\n") * (len(start) + len(CUT)) > most:
            raise TooMuch
        self._text, self._at = b"".join([self._piece(start, piece) for piece in pieces(block)]), 0

    def _piece(self, start: bytes, piece: bytes) -> bytes:
        lines = piece.removesuffix(b"\n").split(b"\n")
        return b"".join([start + shortened(line, self._size) + b"\n" for line in lines])

    def start(self) -> bytes:
        """What an alert begins with."""
        return f"{say.program}: alert: ".encode()


class Stderr(Alert):
    """Standard error, shortened lines, and nothing before them."""

    def start(self) -> bytes:
        """It begins with its stamp."""
        return b""


def shortened(line: bytes, size: int) -> bytes:
    """The first SIZE bytes and `...`, of a line that is longer by more than those three; 0: all of it."""
    return line[:size] + CUT if size and len(line) > size + len(CUT) else line


class Status(Sink):
    """A file that is always the last line, padded."""

    def offer(self, block: bytes, head: bytes, _skip: int = 0, _most: int = 0) -> None:
        """Of a block only the last line would be seen."""
        line = block[block.rfind(b"\n", 0, len(block) - 1) + 1 :].removesuffix(b"\n")
        text = head + line
        self._text = text[: self._size].ljust(self._size, b"\n") if self._size else text + b"\n"
        self._at = 0 if block else len(self._text)

    def _write(self, text: memoryview) -> int:
        """Replace the file; a status that cannot be written is replaced by the next."""
        new = self.path + ".new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, text)
        finally:
            os.close(fd)
        os.rename(new, self.path)
        return len(text)

    def _failed(self, error: OSError) -> None:
        say.warning(f"unable to write {self.path}: {say.reason(error)}")
