"""notifyoncheck: give readiness notification to a daemon that has none, by asking a check program now and then.

Source: `spec/chainloading.md` 3.7. A child of this program polls; the program itself becomes the daemon, and what the
daemon's supervisor sees is what it would see of a daemon that notifies.
"""

from __future__ import annotations

import os

from initfs import files, loop, options, process, say, signals
from initfs.chain import child, descriptors
from initfs.chain import next as chain
from initfs.notify.fifodir import Subscription

USAGE = "notifyoncheck [-d] [-3 fd] [-s ms] [-T ms] [-t ms] [-w ms] [-n tries] [-c command] prog..."
DEFAULTS: dict[str, str] = {"s": "10", "T": "0", "t": "0", "w": "1000", "n": "7"}
CHECK = "./data/check"
READY, EXHAUSTED, DOWN, TOO_LATE = 0, 1, 2, 3  # the child's exit codes


def main(argv: list[str]) -> int:
    found, rest = options.parse(argv[1:], "d3:s:T:t:w:n:c:", USAGE)
    given = {**DEFAULTS, **dict(found)}
    numbers = {letter: options.number(given[letter], USAGE) for letter in DEFAULTS}
    if not rest:
        raise say.usage(USAGE)
    command = check_command(given.get("c"))
    fd = descriptors.number(given["3"], USAGE) if "3" in given else notification_fd()
    try:
        os.set_inheritable(fd, False)
    except OSError as error:
        raise say.unable(f"use descriptor {fd}", error, say.USAGE) from None
    events = subscribe()

    def poll() -> int:
        return Poll(command, numbers, fd, events).run()

    if "d" in given:
        child.wait(child.fork(lambda: child.fork(poll) and 0))
    else:
        child.fork(poll)
    os.close(fd)
    os.close(events.fd)  # the FIFO is the child's now, and so is its removal
    return chain.run(rest, USAGE)


def check_command(text: str | None) -> list[str]:
    """The words of the check's command line; TEXT is divided as the block launcher does it, without a shell."""
    if text is None:
        return [CHECK]
    from initfs.chain import words

    try:
        found = words.lex(os.fsencode(text))
    except words.BadScript as error:
        raise say.Fatal(say.USAGE, f"unable to understand the command: {error}") from None
    if not found:
        raise say.usage(USAGE)
    return found


def notification_fd() -> int:
    """The number in ./notification-fd. Raises Fatal 100 when there is none."""
    try:
        text = (files.read("notification-fd") or b"").decode("ascii", "replace").strip()
    except OSError as error:
        raise say.unable("read notification-fd", error, say.USAGE) from None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise say.Fatal(say.USAGE, "no -3, and no descriptor's number in notification-fd")
    return int(text)


def subscribe() -> Subscription:
    """Listen to this service's events. Raises Fatal 100 where there is no supervised service."""
    if not os.path.exists("supervise/control"):
        raise say.Fatal(say.USAGE, "this is not the directory of a supervised service")
    try:
        return Subscription("event")
    except OSError as error:
        raise say.unable("subscribe to event", error, say.USAGE) from None


class Poll:
    """The polling child: pause, check, pause, check, until it is ready, or down, or too late."""

    def __init__(self, command: list[str], numbers: dict[str, int], fd: int, events: Subscription) -> None:
        self.command, self.numbers, self.fd, self.events = command, numbers, fd, events
        self.running = 0  # the check's pid
        self.succeeded = self.down = False
        self.loop = loop.Loop()
        self.loop.on_signals(self._reap, signals.CHLD)
        self.loop.watch(events.fd, self._heard)

    def run(self) -> int:
        end = self._in("T") if self.numbers["T"] else loop.NEVER
        pause, tries = "s", self.numbers["n"] or -1
        try:
            while tries:
                tries -= 1
                self._wait(min(self._in(pause), end))
                pause = "w"
                if self.down or loop.now() >= end:
                    break
                if self._check(end):
                    os.write(self.fd, b"\n")
                    return READY
            return DOWN if self.down else TOO_LATE if loop.now() >= end else EXHAUSTED
        finally:
            self.events.close()

    def _in(self, letter: str) -> float:
        return loop.now() + self.numbers[letter] / 1000

    def _wait(self, deadline: float) -> None:
        """Until the deadline, and no longer than the service lives or the check runs."""
        running = self.running
        while not self.down and self.running == running and loop.now() < deadline:
            self.loop.turn(deadline)

    def _check(self, end: float) -> bool:
        """Run the check to its end, or kill it: gently when the service has died, at once when it took too long."""
        self.succeeded = False
        self.running = child.start(self.command, USAGE, self.loop.close)
        self._wait(min(self._in("t") if self.numbers["t"] else loop.NEVER, end))
        if self.running:
            process.kill(self.running, signals.TERM if self.down else signals.KILL)
            self.running = 0
            return False
        return self.succeeded

    def _reap(self, _signum: int) -> None:
        for pid, status in process.reap():
            if pid == self.running:
                self.running, self.succeeded = 0, status == 0

    def _heard(self) -> None:
        self.down = self.down or b"d" in self.events.read()
