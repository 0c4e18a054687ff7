"""What `rc` and the oneshot runner say to each other: one connection for a whole change, not one for each script. Pure.

    client   GREETING, with its descriptors 0, 1 and 2 and a file for marks; then orders: which script (0 down, 1 up, 2 reload), service,
             milliseconds it may take
    runner   answers, as scripts end, in any order: service, an errno when its script was not begun or not over in time, else 0, wait status

Each order and each answer is three numbers of four bytes in the machine's order: both ends are on the same one. A client has at most one
order about a service without its answer. When it hangs up, what has begun goes on, and nothing more begins.

A runner that meets a client of another version has outlived an upgrade: it ends, and its supervisor starts the one that is installed now.

Marks: before it begins a script, the runner writes which one it is, plus one, to the byte of the file that has the service's number. However
it dies, the client sees from them which of its orders have surely not begun, and can be given again.
"""

from __future__ import annotations

from struct import Struct

SOCKET = "orders"  # in the runner's service directory
_NAME = b"rc orders "
GREETING = _NAME + b"2\n"
_RECORD = Struct("=III")
SIZE = _RECORD.size
assert len(GREETING) == SIZE

record = _RECORD.pack


def mark(which: int) -> bytes:
    """What marks that a script has begun."""
    return bytes((which + 1 & 0xFF,))


def of_another_version(greeting: bytes) -> bool:
    """Whether who begins like this speaks another version of this language."""
    return greeting.startswith(_NAME) and not GREETING.startswith(greeting)


class Records:
    """Orders, or answers, out of what arrives piece by piece."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int, int]]:
        """Those that are whole now."""
        data = self._rest + data
        whole = len(data) - len(data) % SIZE
        self._rest = data[whole:]
        return list(_RECORD.iter_unpack(data[:whole]))
