"""The log that ps shows: what is written to standard error moves through the last word of our command line.

Source: `spec/supervision.md` 1.9. The first five characters stay (`log: `), the rest is a window on the last that was written. The
words of a command line are memory of the process itself, whose place proc(5) tells (`stat`, field 48).
"""

from __future__ import annotations

import os

from initfs import files, say

KEPT = 5
SHORTEST = 7
DOT = 15 * 60.0  # seconds: a dot pushes old text out
FIELD = 48 - 3  # of `stat`, counted after the parenthesis that ends field 2


def moved(text: bytes, new: bytes) -> bytes:
    """TEXT after NEW has come in from its right end; what is not printable becomes a question mark, a newline a space."""
    shown = bytes(32 if byte in b"\n\t" else byte if 32 <= byte < 127 else 63 for byte in new)
    return text[:KEPT] + (text[KEPT:] + shown)[-(len(text) - KEPT) :]


def place(stat: bytes, words: bytes, text: bytes) -> int | None:
    """The address of TEXT, the last of the WORDS of a process with this `stat`; None when it is not there."""
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= FIELD or not words.endswith(b"\0" + text + b"\0"):
        return None
    return int(fields[FIELD]) + len(words) - len(text) - 1


class Title:
    """The word, and the pipe whose end is standard error from now on."""

    def __init__(self, text: str) -> None:
        """Take over standard error; say.Fatal 111 when that can't be done."""
        self._text = os.fsencode(text)
        words = files.read("/proc/self/cmdline", size=1 << 20) or b""
        address = place(files.read("/proc/self/stat") or b"", words, self._text)
        if address is None:
            raise say.Fatal(say.TEMPORARY, "unable to find the log's place in the command line")
        self._address = address
        # Neither end blocks: what nobody reads in time is lost, and we write to it ourselves.
        self.fd, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.dup2(writing, 2)
        os.close(writing)

    def read(self) -> None:
        """Show what has been written."""
        try:
            self.show(os.read(self.fd, 65536))
        except BlockingIOError:
            return

    def show(self, new: bytes) -> None:
        import ctypes

        self._text = moved(self._text, new)
        ctypes.memmove(self._address, self._text, len(self._text))
