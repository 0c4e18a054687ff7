"""Bytes on a control FIFO, as letters for the automaton."""

from __future__ import annotations

LETTERS = "abqhkti12ypcPCKrluUdDoOQx"


def letters(data: bytes, *, runit: bool) -> str:
    """The letters in DATA that mean something, in order; what is unknown is dropped, as every suite does.

    runsv reads `x` as "go down, then exit"; daemontools and s6 as "exit once it is down", which needs no word of its own.
    """
    text = "".join(letter for letter in data.decode("ascii", "ignore") if letter in LETTERS)
    return text.replace("x", "dx") if runit else text
