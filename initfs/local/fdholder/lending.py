"""Descriptors that wait to be sent: who lends one must not close it before it has gone out or its client has gone.

A copy for each client that does not read would take all the descriptors that a process may have: the others would be refused.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Lending:
    """How often each descriptor is lent, and which are to be closed when they are back."""

    __slots__ = ("_closing", "_lent")

    def __init__(self) -> None:
        self._lent: dict[int, int] = {}
        self._closing: set[int] = set()

    def lend(self, descriptors: Sequence[int]) -> tuple[int, ...]:
        """Keep these open until each is given `back`."""
        for fd in descriptors:
            self._lent[fd] = self._lent.get(fd, 0) + 1
        return tuple(descriptors)

    def back(self, descriptors: Iterable[int]) -> None:
        """These have been sent, or will never be."""
        for fd in descriptors:
            self._lent[fd] -= 1
            if self._lent[fd]:
                continue
            del self._lent[fd]
            if fd in self._closing:
                self._closing.discard(fd)
                os.close(fd)

    def close(self, descriptors: Iterable[int]) -> None:
        """Close these, now or when they are back."""
        for fd in descriptors:
            if fd in self._lent:
                self._closing.add(fd)
            else:
                os.close(fd)
