"""Messages on a Unix stream socket: some bytes and some descriptors each, in the framing that s6's programs use. Pure.

    4 bytes, big-endian   length of the body
    2 bytes, big-endian   number of descriptors
    the body              the descriptors travel with the first byte that is sent (SCM_RIGHTS, unix(7))

Found by watching s6 2.11's clients and servers with strace. The kernel hands descriptors over in the order in which they were
sent, but the bytes beside them may end anywhere: descriptors wait here until the message that claims them is whole.
"""

from __future__ import annotations

from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = 6
AT_ONCE = 253  # SCM_MAX_FD: what one sendmsg(2) can carry
LARGEST_BODY = (1 << 32) - 1


class Malformed(ValueError):
    """What the other end sent is not of this protocol; its text says why."""


@value
class Message:
    """A whole message."""

    body: bytes
    descriptors: tuple[int, ...] = ()


def frame(body: bytes, count: int = 0) -> bytes:
    """The bytes of a message with COUNT descriptors."""
    return len(body).to_bytes(4, "big") + count.to_bytes(2, "big") + body


class Reassembly:
    """Messages out of what arrives, piece by piece, and the descriptors that no message has claimed yet."""

    __slots__ = ("_buffer", "_descriptors", "_most", "_size")

    def __init__(self, size: int, most: int = AT_ONCE) -> None:
        """Bodies of at most SIZE bytes with at most MOST descriptors."""
        self._buffer = bytearray()
        self._descriptors: list[int] = []
        self._size, self._most = size, most

    def feed(self, data: bytes, descriptors: Sequence[int] = ()) -> list[Message]:
        """The messages that are whole now. Malformed when this cannot become one; `abandon` has the descriptors then."""
        self._descriptors += descriptors
        self._buffer += data
        found: list[Message] = []
        try:
            while len(self._buffer) >= HEADER and (message := self._next()) is not None:
                found.append(message)
        except Malformed:
            self._descriptors[:0] = [fd for message in found for fd in message.descriptors]
            raise
        if len(self._descriptors) > 2 * self._most:
            raise self._back(found, "descriptors that no message claims")
        return found

    def missing(self) -> int:
        """How many bytes are wanted for the next message, as far as that is known."""
        if len(self._buffer) < HEADER:
            return HEADER - len(self._buffer)
        return HEADER + int.from_bytes(self._buffer[:4], "big") - len(self._buffer)

    def abandon(self) -> list[int]:
        """The descriptors that nobody claimed, for the caller to close."""
        left, self._descriptors = self._descriptors, []
        return left

    def idle(self) -> bool:
        """Whether nothing of an unfinished message is here."""
        return not self._buffer and not self._descriptors

    def _back(self, found: list[Message], why: str) -> Malformed:
        self._descriptors[:0] = [fd for message in found for fd in message.descriptors]
        return Malformed(why)

    def _next(self) -> Message | None:
        """The message whose header is there."""
        length = int.from_bytes(self._buffer[:4], "big")
        count = int.from_bytes(self._buffer[4:HEADER], "big")
        if length > self._size:
            raise Malformed(f"a message of {length} bytes")
        if count > self._most:
            raise Malformed(f"a message with {count} descriptors")
        end = HEADER + length
        if len(self._buffer) < end:
            return None
        if len(self._descriptors) < count:
            raise Malformed("descriptors are missing")
        body, mine = bytes(self._buffer[HEADER:end]), tuple(self._descriptors[:count])
        del self._buffer[:end], self._descriptors[:count]
        return Message(body, mine)
