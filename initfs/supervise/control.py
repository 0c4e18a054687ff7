"""Bytes on a control FIFO, as letters for the automaton."""

from __future__ import annotations

from initfs import signals

LETTERS = "abqhkti12ypcPCKrluUdDoOQx"

# The letters that just send a signal to `run`.
SIGNALS = {
    "a": signals.ALRM,
    "b": signals.ABRT,
    "q": signals.QUIT,
    "h": signals.HUP,
    "k": signals.KILL,
    "t": signals.TERM,
    "i": signals.INT,
    "1": signals.USR1,
    "2": signals.USR2,
    "y": signals.WINCH,
}


def letters(data: bytes, *, runit: bool) -> str:
    """The letters in DATA that mean something, in order; what is unknown is dropped, as every suite does.

    runsv reads `x` as "go down, then exit"; daemontools and s6 as "exit once it is down", which needs no word of its own.
    """
    text = "".join(letter for letter in data.decode("ascii", "ignore") if letter in LETTERS)
    return text.replace("x", "dx") if runit else text
