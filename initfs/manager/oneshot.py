"""One script of a oneshot under way: an order to the runner, which starts it, and the end that the runner reports.

The runner is told how long the script may take, and sees to that itself: whatever becomes of us, the script goes on until then.
"""

from __future__ import annotations

import os

from initfs import loop, say
from initfs.local import sockets
from initfs.local.sudo import protocol
from initfs.local.wire import frame
from initfs.manager.model import RUNNER
from initfs.supervise import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

WORDS = ("down", "up", "reload")
_STARTED = len(protocol.HELLO)
_WHOLE = _STARTED + 5  # hello, a byte when it is started, four at the end
RETURNS = 30.0  # seconds within which a runner that died has to be there again


class Busy(Exception):
    """The runner has too many clients that it has not looked at yet, or it died and is about to be started again."""


class Runner:
    """Where the runner of a live directory listens. A socket's path may have 107 bytes, ours may be longer: hence the descriptor."""

    def __init__(self, live: str) -> None:
        self._directory = f"{live}/servicedirs/{RUNNER}"
        self._fd = -1
        self._missed = 0.0  # since when nobody has answered

    def connect(self) -> socket:
        """A new connection. Busy, or say.Fatal 111."""
        made = sockets.new(blocking=False)
        try:
            if self._fd < 0:
                self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            made.connect(f"/proc/self/fd/{self._fd}/s")
        except BlockingIOError:
            made.close()
            raise Busy from None
        except OSError as error:
            made.close()
            if isinstance(error, ConnectionRefusedError | FileNotFoundError) and self._returning():
                raise Busy from None
            raise say.unable(f"reach the oneshot runner in {self._directory}", error) from error
        self._missed = 0.0
        return made

    def _returning(self) -> bool:
        """Whether its supervisor is about to start it again, and has not taken too long. say.Fatal: it has no supervisor."""
        now = loop.now()
        self._missed = self._missed or now
        return now - self._missed < RETURNS and client.read_status(self._directory).wanted

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Oneshot:
    """A script that runs. `outcome` is None while it does, then "" for success, or the reason why it failed."""

    def __init__(self, runner: Runner, number: int, which: int, milliseconds: int) -> None:
        """Have it started; MILLISECONDS is what it may take, 0 for any. Busy, or say.Fatal 111."""
        self.outcome: str | None = None
        self._came = b""
        self._connection = runner.connect()
        self.fd = self._connection.fileno()
        words = [b"-T", b"%d" % milliseconds] if milliseconds else []
        body = protocol.encode([*words, WORDS[which].encode(), b"%d" % number], ())
        try:
            sockets.send(self._connection, frame(body, 3), (0, 1, 2))
        except ConnectionError as error:
            self._connection.close()
            raise say.Fatal(say.TEMPORARY, "the oneshot runner hung up") from error
        except OSError as error:
            self._connection.close()
            raise say.unable("talk to the oneshot runner", error) from error

    def hear(self) -> None:
        """Something came from the runner."""
        try:
            came = self._connection.recv(_WHOLE)
        except BlockingIOError:
            return
        except OSError as error:
            self.outcome = f"the oneshot runner hung up: {say.reason(error)}"
            return
        self._came += came
        if not came:
            self.outcome = "the oneshot runner hung up"
        elif len(self._came) > _STARTED and self._came[_STARTED]:
            self.outcome = os.strerror(self._came[_STARTED])
        elif len(self._came) >= _WHOLE:
            self.outcome = _ending(int.from_bytes(self._came[_STARTED + 1 : _WHOLE], "big"))

    def give_up(self) -> None:
        """Nothing is left to do: the runner has been told when to end it."""

    def settle(self) -> None:
        """Nothing is left to do: the script has done it."""

    def close(self) -> None:
        self._connection.close()


def _ending(status: int) -> str:
    if not status:
        return ""
    if status & 0x7F:
        from initfs import signals

        return f"killed by SIG{signals.name(status & 0x7F)}"
    return f"exit code {status >> 8}"
