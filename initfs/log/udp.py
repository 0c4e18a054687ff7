"""Lines sent away by UDP, one datagram each. What does not arrive is lost, as with any syslog over UDP."""

from __future__ import annotations

import _socket

from initfs import say
from initfs.log.sinks import Alert, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.log.script import Action

PORT = 514


class Udp(Alert):
    """An address A.B.C.D or A.B.C.D:PORT."""

    def __init__(self, action: Action) -> None:
        super().__init__(action)
        host, _, port = action.path.partition(":")
        self._address = (host, int(port) if port.isdigit() else PORT)
        self._socket = _socket.socket(
            _socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        )
        self._lines: list[bytes] = []
        self._said = False

    def offer(self, block: bytes, head: bytes, _skip: int = 0, _most: int = 0) -> None:
        """Shorten and keep."""
        self._lines = [head + shortened(line, self._size) for line in block.split(b"\n") if line]

    def push(self) -> bool:
        """Send; the first failure is said."""
        for line in self._lines:
            try:
                self._socket.sendto(line, self._address)
            except OSError as error:
                if not self._said:
                    self._said = True
                    say.warning(f"unable to send to {self._address[0]}: {say.reason(error)}")
        self._lines = []
        return True
