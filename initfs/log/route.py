"""Which lines of a block go to which action. Pure.

A block goes through the steps of a script as a whole as long as its lines are of one mind: the lines that an expression selects are taken out
with searches over the block. Only when a step needs to know of each line what the steps before did with it, the lines are
looked at one by one. Both give the same; a test holds them together.
"""

from __future__ import annotations

from initfs.log.lines import pieces
from initfs.log.script import Action, Match, Otherwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from initfs.log.script import Step

    class Lines(Protocol):
        """What a compiled expression can do; texts are lines with their newlines."""

        def keep(self, text: bytes) -> bytes: ...
        def drop(self, text: bytes) -> bytes: ...
        def one(self, line: bytes) -> object: ...


class Mixed(Exception):
    """The lines must be looked at one by one."""


class Route:
    """The steps of a script over blocks."""

    __slots__ = ("_steps", "actions")

    def __init__(self, steps: Sequence[Step], compile_: Callable[[str], Lines]) -> None:
        """ValueError, with the reason, when an expression is wrong. COMPILE_ makes an expression of its text."""
        self.actions = [step for step in steps if isinstance(step, Action)]
        self._steps: list[tuple[str, Lines | None]] = []
        for step in steps:
            if isinstance(step, Match):
                kind = "+" if step.select else "-"
                self._steps.append((kind, compile_(step.pattern) if step.pattern else None))
            else:
                self._steps.append(("f" if isinstance(step, Otherwise) else "!", None))

    def block(self, text: bytes) -> list[bytes]:
        """The lines for each action, in the order of the actions."""
        try:
            return self._whole(text)
        except Mixed:
            parts = [self._lines(piece) for piece in pieces(text)]
            return [b"".join(part) for part in zip(*parts, strict=True)]

    def _whole(self, text: bytes) -> list[bytes]:
        selected, acted, found = text, b"", []
        for kind, matcher in self._steps:
            if kind == "!":
                found.append(selected)
                acted = text if text in (selected, acted) else _union(acted, selected)
            elif kind == "f":
                selected = _others(text, acted)
            elif kind == "-":
                selected = matcher.drop(selected) if matcher and selected else b""
            elif matcher is None:
                selected = text
            elif not selected:
                selected = matcher.keep(text)
            elif len(selected) != len(text):
                raise Mixed
        return found

    def _lines(self, text: bytes) -> list[bytes]:
        lines = text.split(b"\n")
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        selected, acted, found = [True] * len(lines), [False] * len(lines), []
        for kind, matcher in self._steps:
            if kind == "!":
                found.append(b"".join(line for line, on in zip(lines, selected, strict=True) if on))
                acted = [a or b for a, b in zip(acted, selected, strict=True)]
            elif kind == "f":
                selected = [not a for a in acted]
            elif kind == "+":
                selected = [
                    on or matcher is None or bool(matcher.one(line))
                    for line, on in zip(lines, selected, strict=True)
                ]
            else:
                selected = [
                    on and matcher is not None and not matcher.one(line)
                    for line, on in zip(lines, selected, strict=True)
                ]
        return found


def _union(acted: bytes, selected: bytes) -> bytes:
    if not acted or not selected or acted == selected:
        return acted or selected
    raise Mixed


def _others(text: bytes, acted: bytes) -> bytes:
    if not acted:
        return text
    if len(acted) == len(text):
        return b""
    raise Mixed
