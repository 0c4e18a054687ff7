"""Less of what is too much: lines that repeat the one before, and more lines a second than are wanted. Pure.

Off unless a script asks for it (`u`, `mN`). What is left out is told, in lines of their own.
"""

from __future__ import annotations

from initfs.log.lines import pieces

NANO = 1_000_000_000
LONGEST = 1024  # bytes: longer lines are not compared


class Limits:
    """What has been seen so far of one input."""

    def __init__(self, rate: int, *, fold: bool) -> None:
        """RATE lines a second, 0 for any number; FOLD repeated lines."""
        self._rate = rate
        self._fold = fold
        self._last = b""
        self._repeated = 0
        self._second = -1
        self._passed = 0
        self._dropped = 0

    @property
    def holding(self) -> bool:
        """There is something to be told."""
        return bool(self._repeated or self._dropped)

    def pass_on(self, block: bytes, now: int) -> bytes:
        """What is left of a block at NOW (nanoseconds), with what is told."""
        return b"".join([self._piece(piece, now // NANO) for piece in pieces(block)])

    def _piece(self, piece: bytes, second: int) -> bytes:
        *lines, rest = piece.split(b"\n")
        if self._fold:
            lines = self._folded(lines)
        if self._rate:
            lines = self._thinned(lines, second)
        return b"".join([line + b"\n" for line in lines]) + rest

    def _folded(self, lines: list[bytes]) -> list[bytes]:
        found = []
        for line in lines:
            if line == self._last and line:
                self._repeated += 1
                continue
            if self._repeated:
                found.append(self._repetition())
            found.append(line)
            self._last = line if len(line) <= LONGEST else b""
        return found

    def _repetition(self) -> bytes:
        count, self._repeated = self._repeated, 0
        return b"last line repeated %d time%s" % (count, b"s" * (count > 1))

    def _thinned(self, lines: list[bytes], second: int) -> list[bytes]:
        found = []
        if second != self._second:
            self._second, self._passed = second, 0
            if self._dropped:
                found.append(self._omission())
        room = max(self._rate - self._passed, 0)
        self._passed += min(room, len(lines))
        self._dropped += len(lines) - min(room, len(lines))
        return found + lines[:room]

    def _omission(self) -> bytes:
        count, self._dropped = self._dropped, 0
        return b"%d line%s left out, more than %d a second" % (count, b"s" * (count > 1), self._rate)

    def tell(self) -> bytes:
        """What is to be told although no line comes."""
        found = [self._repetition()] if self._repeated else []
        found += [self._omission()] if self._dropped else []
        return b"".join(line + b"\n" for line in found)

    def state(self) -> bytes:
        """All that is remembered, so that a successor can go on."""
        numbers = (self._repeated, self._second, self._passed, self._dropped)
        return b" ".join(b"%d" % number for number in numbers) + b"\n" + self._last

    def restore(self, state: bytes) -> None:
        """Go on from a STATE; what is none changes nothing."""
        numbers, newline, last = state.partition(b"\n")
        words = numbers.split()
        if newline and len(words) == 4 and all(word.lstrip(b"-").isdigit() for word in words):
            self._repeated, self._second, self._passed, self._dropped = map(int, words)
            self._last = last
