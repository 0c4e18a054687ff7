"""Waiting until the events of fifodirs match regular expressions: what the three ftrig listeners share."""

from __future__ import annotations

import os

from initfs import say
from initfs.loop import NEVER, Loop, now
from initfs.notify.arguments import until
from initfs.notify.ere import Expression
from initfs.notify.fifodir import Subscription
from initfs.options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Listener:
    """One subscription and what it has received, until that matches."""

    def __init__(self, directory: str, expression: str) -> None:
        try:
            self._expression = Expression(expression)
        except ValueError as error:
            raise say.Fatal(say.USAGE, f"bad regular expression {expression}: {error}") from error
        try:
            self._subscription = Subscription(directory)
        except OSError as error:
            raise say.unable(f"subscribe to {directory}", error) from error
        self.fd = self._subscription.fd
        self.close = self._subscription.close
        self.received = b""
        self.matched = False

    def hear(self) -> None:
        """Take what has come, up to the byte with which all of it matches."""
        came = self._subscription.read()
        if self.matched or not came:
            return
        before = len(self.received)
        self.received += came
        length = self._expression.first(self.received, before)
        if length is not None:
            self.received, self.matched = self.received[:length], True


class Listeners:
    """Subscriptions to (fifodir, expression) PAIRS, which begin with the making."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._loop = Loop()
        self._listeners: list[Listener] = []
        try:
            for directory, expression in pairs:
                listener = Listener(directory, expression)
                self._listeners.append(listener)
                self._loop.watch(listener.fd, listener.hear)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._loop.close()

    def wait(self, deadline: float = NEVER, *, some: bool = False) -> bytes:
        """Wait for all (or SOME one) to match and return what the first received; say.Fatal 1 after DEADLINE."""
        enough = any if some else all
        while not enough(listener.matched for listener in self._listeners):
            if now() >= deadline:
                raise say.Fatal(say.NO, "timed out")
            self._loop.turn(deadline)
        return self._listeners[0].received if self._listeners else b""


def options(argv: list[str], letters: str, usage_line: str) -> tuple[str, float, list[str]]:
    """The last of the flags LETTERS that was given, the deadline of -t, and the rest of the words."""
    flag, deadline = "", NEVER
    found, rest = parse(argv[1:], letters + "t:", usage_line)
    for letter, text in found:
        if letter == "t":
            deadline = until(text, usage_line)
        else:
            flag = letter
    return flag, deadline, rest


def report(received: bytes) -> None:
    """Print what was received, and a newline."""
    os.write(1, received + b"\n")
