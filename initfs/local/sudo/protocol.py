r"""What `sudoc` and `sudod` say to each other, and which variables of a client a privileged program gets to see. Pure.

This is the protocol of s6's pair of programs, found by watching its 2.11 with strace:

    server   the banner "s6-sudo b v1.0\n"
    client   one message (`initfs.local.wire`) with its descriptors 0, 1 and 2: the banner "s6-sudo a v1.0\n"; then, 4 bytes each,
             the numbers of arguments and variables and the lengths of both; then the arguments and the variables, each with a NUL
    server   one byte: 0 started, else an errno
    server   4 bytes: the wait status, waitpid(2), of the program that has ended
"""

from __future__ import annotations

from initfs.local.wire import Malformed
from initfs.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELLO = b"s6-sudo b v1.0\n"  # the server's
GREETING = b"s6-sudo a v1.0\n"  # the client's
DESCRIPTORS = 3
WORDS_MAX = 131072  # arguments, and variables
BODY_MAX = 4 << 20  # execve(2) takes less
_HEAD = len(GREETING) + 16


@value
class Order:
    """What a client wants run: arguments, its variables (`NAME=value`), and its descriptors 0, 1, 2."""

    arguments: tuple[bytes, ...]
    variables: tuple[bytes, ...]
    descriptors: tuple[int, ...] = ()


def encode(arguments: Sequence[bytes], variables: Sequence[bytes]) -> bytes:
    """The body of the client's message. ValueError for more than can be sent."""
    words, settings = _join(arguments), _join(variables)
    numbers = (len(arguments), len(variables), len(words), len(settings))
    if max(numbers[:2]) > WORDS_MAX or sum(numbers[2:]) > BODY_MAX - _HEAD:
        raise ValueError("too many arguments and variables")
    return GREETING + b"".join(number.to_bytes(4, "big") for number in numbers) + words + settings


def decode(body: bytes, descriptors: tuple[int, ...]) -> Order:
    """The order in a client's message. Malformed for everything that is none; its descriptors remain the caller's."""
    if not body.startswith(GREETING) or len(body) < _HEAD or len(descriptors) != DESCRIPTORS:
        raise Malformed("not a sudo client's message")
    numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(len(GREETING), _HEAD, 4)]
    arguments, variables, length, rest = numbers
    if max(arguments, variables) > WORDS_MAX or _HEAD + length + rest != len(body):
        raise Malformed("lengths that do not agree")
    middle = _HEAD + length
    return Order(_words(body[_HEAD:middle], arguments), _words(body[middle:], variables), descriptors)


def started(errno: int = 0) -> bytes:
    """The server's word that the program runs, or why it does not."""
    return bytes([errno])


def ended(status: int) -> bytes:
    """The server's word that the program has ended with this wait status."""
    return (status & 0xFFFF).to_bytes(4, "big")


def exit_code(status: int) -> int:
    """What a client exits with: the program's code, or 128 and the number of the signal that killed it."""
    return 128 + (status & 0x7F) if status & 0x7F else status >> 8 & 0xFF


def filtered(own: Mapping[bytes, bytes], variables: Sequence[bytes]) -> dict[bytes, bytes]:
    """The environment of the privileged program: our own; a client's variable counts only where ours is there and empty."""
    asked: dict[bytes, bytes] = {}
    for variable in variables:
        name, equals, content = variable.partition(b"=")
        if equals and name:
            asked[name] = content
    return {name: content or asked.get(name, b"") for name, content in own.items()}


def _join(words: Sequence[bytes]) -> bytes:
    return b"".join(word + b"\0" for word in words)


def _words(data: bytes, count: int) -> tuple[bytes, ...]:
    words = data.split(b"\0")
    if words.pop() or len(words) != count:
        raise Malformed("not as many words as announced")
    return tuple(words)
