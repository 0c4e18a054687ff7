"""How a descriptor holder survives its own death: its descriptors wait in a socket pair that the supervisor holds open.

Some facts (unix(7), Linux). A descriptor that was sent and not yet received is kept open by the kernel, as long as somebody holds the
socket. The supervisor holds both ends of the pair, as it does with a log pipe, and neither reads nor writes; so process 1 needs
no protocol, no table and no descriptor for each of ours. Every change is sent into the pair when it is made: nothing is lost even by
SIGKILL. MSG_PEEK with SO_PEEK_OFF reads the whole queue and leaves it there: nothing is lost by a death while reading either.
A pair that is connected to itself has no limit of datagrams, only one of bytes.
"""

from __future__ import annotations

import os

from initfs import loop, say
from initfs.local import sockets
from initfs.local.fdholder import records
from initfs.local.wire import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket
    from collections.abc import Sequence

    from initfs.local.fdholder.holding import Holding
    from initfs.local.fdholder.records import Record
else:
    import _socket

SO_PEEK_OFF, SO_SNDBUFFORCE = 42, 32  # asm-generic/socket.h
BYTES = 1 << 20  # of the queue: a thousand names of 255 bytes need a quarter
STALE = (
    64  # more records that count for nothing than things held, by so many, and the journal is written anew
)


class Keeper:
    """The journal in the pair READING, READING + 1."""

    def __init__(self, reading: int) -> None:
        """OSError when these are not two ends of a pair of datagram sockets."""
        self._reading = sockets.of(reading, sockets.DATAGRAM)
        self._writing = sockets.of(reading + 1, sockets.DATAGRAM)
        for end in (self._reading, self._writing):
            end.getpeername()
            end.setblocking(False)
            os.set_inheritable(end.fileno(), False)
        self._queued = 0
        self._room()

    def restore(self, holding: Holding) -> None:
        """Put what the journal holds into HOLDING, and keep the journal short."""
        replay = records.Replay()
        self._reading.setsockopt(_socket.SOL_SOCKET, SO_PEEK_OFF, 0)
        try:
            while (came := self._peek()) is not None:
                self._queued += 1
                try:
                    unneeded = replay.read(*came)
                except Malformed as error:
                    say.warning(f"unable to understand a record of the journal: {error}")
                    unneeded = came[1]
                for fd in unneeded:
                    os.close(fd)
        finally:
            self._reading.setsockopt(_socket.SOL_SOCKET, SO_PEEK_OFF, -1)
        for fd in replay.unfinished():
            os.close(fd)
        for name, held in replay.held.items():
            holding.put(name, held)
        for _, held in holding.expire(loop.now()):
            os.close(held.descriptor)
        if self._queued:
            self._rewrite(holding)

    def note(self, holding: Holding, stored: Sequence[bytes], deleted: Sequence[bytes]) -> None:
        """Write down a change that HOLDING has seen."""
        if self._queued > len(holding) + STALE and self._rewrite(holding):
            return
        items = [(name, held) for name in stored if (held := holding.get(name)) is not None]
        news = [records.stored(items[at : at + 253]) for at in range(0, len(items), 253)]
        news += [records.deleted(deleted)] if deleted else []
        if not all(map(self._send, news)) and not self._rewrite(holding):
            say.warning("unable to keep a change for the next life: the journal is full")

    def _rewrite(self, holding: Holding) -> bool:
        """Replace the journal by a snapshot: first that is added, then what was before it is taken away."""
        before = self._queued
        if not all(map(self._send, records.snapshot(holding.items()))):
            return False
        for _ in range(before):
            self._reading.recv(1)  # without room for descriptors the kernel closes them
        self._queued -= before
        return True

    def _send(self, record: Record) -> bool:
        try:
            sockets.send(self._writing, record.body, record.descriptors)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                say.warning(f"unable to write the journal: {say.reason(error)}")
            return False
        self._queued += 1
        return True

    def _peek(self) -> tuple[bytes, list[int]] | None:
        return sockets.receive(self._reading, records.SIZE_MAX, _socket.MSG_PEEK)

    def _room(self) -> None:
        """Have room for BYTES, as far as we may: beyond net.core.wmem_max only root does."""
        for option in (SO_SNDBUFFORCE, _socket.SO_SNDBUF):
            try:
                self._writing.setsockopt(_socket.SOL_SOCKET, option, BYTES)
            except PermissionError:
                continue
            return
