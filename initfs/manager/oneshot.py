"""Scripts of oneshots under way: orders to the runner, which starts them, and the ends that the runner reports. Protocol: `orders.py`.

The runner is told how long a script may take, and sees to that itself: whatever becomes of us, the script goes on until then.
"""

from __future__ import annotations

import os
import select
from errno import ETIMEDOUT

from initfs import loop, say
from initfs.local import sockets
from initfs.manager.model import RUNNER
from initfs.manager.orders import GREETING, SOCKET, Records, mark, record
from initfs.supervise import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

RETURNS = 30.0  # seconds within which a runner that died has to be there again
DEAD_WITHIN = 1000  # milliseconds from the end of its connections to the end of a process
GONE = (ConnectionRefusedError, FileNotFoundError, ProcessLookupError)
FRUITLESS = 2  # times that a runner may die before it has begun anything
HUNG_UP = "the oneshot runner hung up"
LOG = "; its log says why"


class Busy(Exception):
    """The runner has too many clients that it has not looked at yet, or it died and is about to be started again."""


class Runner:
    """The runner of a live directory, connected to with the first order and kept. ENDED(number, outcome) is told of each: "" for success,
    or the reason why it failed. AGAIN(number) is told instead when the runner died before it began this one: it is to be ordered again.
    """

    def __init__(
        self, around: loop.Loop, live: str, ended: Callable[[int, str], None], again: Callable[[int], None]
    ) -> None:
        self._loop, self._ended, self._again = around, ended, again
        self._directory = f"{live}/servicedirs/{RUNNER}"
        self._missed = 0.0  # since when nobody has answered
        self._fruitless = 0
        self._connection: socket | None = None
        self._process = self._marks = -1
        self._ordered: dict[int, int] = {}  # number: which script
        self._orders: list[bytes] = []
        self._records = Records()
        self._writing = False

    def order(self, number: int, which: int, milliseconds: int) -> None:
        """Have a script started with the next `flush`; MILLISECONDS is what it may take, 0 for any. Busy, or say.Fatal 111."""
        if self._connection is None:
            self._connection = self._connect()
            self._loop.watch(self._connection.fileno(), self._ready)
        self._orders.append(record(which, number, milliseconds))
        self._ordered[number] = which

    def flush(self) -> None:
        """Send what was ordered, as far as it fits: to be called in each turn. When the runner has gone, so has all that was ordered."""
        if self._connection is None or not self._orders:
            return
        data = b"".join(self._orders)
        try:
            sent = sockets.send(self._connection, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(f"{HUNG_UP}: {say.reason(error)}")
            return
        self._orders = [data[sent:]] if sent < len(data) else []
        if self._writing != bool(self._orders):
            self._writing = bool(self._orders)
            self._loop.change(
                self._connection.fileno(), loop.READ | loop.WRITE if self._writing else loop.READ
            )

    def _connect(self) -> socket:
        made = sockets.new(blocking=False)
        try:
            # A socket's path may have 107 bytes, ours may be longer.
            directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                made.connect(f"/proc/self/fd/{directory}/{SOCKET}")
            finally:
                os.close(directory)
            self._process = _process(made)
            if self._marks < 0:
                self._marks = os.memfd_create("begun", os.MFD_CLOEXEC)
            sockets.send(made, GREETING, (0, 1, 2, self._marks))
        except BlockingIOError:
            made.close()
            raise Busy from None
        except OSError as error:
            made.close()
            left = isinstance(error, BrokenPipeError)  # it has looked at us between the two, or died
            gone = isinstance(error, GONE) or (left and self._dead())
            self._forget_process()
            if gone and self._returning():
                raise Busy from None
            if left:
                raise say.Fatal(say.TEMPORARY, HUNG_UP + LOG) from None
            raise say.unable(f"reach the oneshot runner in {self._directory}", error) from error
        self._missed = 0.0
        return made

    def _returning(self) -> bool:
        """Whether its supervisor is about to start it again, and has not taken too long. say.Fatal: it has no supervisor."""
        now = loop.now()
        self._missed = self._missed or now
        return now - self._missed < RETURNS and client.read_status(self._directory).wanted

    def _ready(self) -> None:
        """Answers have come, or the runner has gone, or there is room for orders again."""
        assert self._connection is not None
        try:
            came = self._connection.recv(sockets.CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"{HUNG_UP}: {say.reason(error)}")
            return
        if not came:
            self._lose(HUNG_UP)
            return
        for number, errno, status in self._records.feed(came):
            self._ordered.pop(number, None)
            self._ended(number, _outcome(errno, status))

    def _lose(self, why: str) -> None:
        assert self._connection is not None
        self._loop.forget(self._connection.fileno())
        self._connection.close()
        ordered, dead = self._ordered, bool(self._ordered) and self._dead()
        untouched = self._untouched() if dead else set()  # one that lives had its reason to hang up
        self._fruitless = self._fruitless + 1 if untouched and untouched >= ordered.keys() else 0
        self._forget_process()
        self._connection, self._ordered, self._orders, self._records, self._writing = None, {}, [], Records(), False  # fmt: skip
        for number in ordered:
            if number in untouched and self._fruitless <= FRUITLESS:
                self._again(number)
            else:
                self._ended(number, why if dead else why + LOG)

    def _untouched(self) -> set[int]:
        """What has surely not begun: the runner, which is dead, has not marked it."""
        size = max(self._ordered) + 1
        marks = os.pread(self._marks, size, 0).ljust(size, b"\0")
        return {
            number for number, which in self._ordered.items() if marks[number : number + 1] != mark(which)
        }

    def _dead(self) -> bool:
        """Whether the runner that we were connected to is known to be dead."""
        if self._process < 0:
            return False
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(DEAD_WITHIN))

    def _forget_process(self) -> None:
        if self._process >= 0:
            os.close(self._process)
            self._process = -1


def _process(connection: socket) -> int:
    """A descriptor for the process at the other end; -1 when it is out of sight. ProcessLookupError when it is gone."""
    try:
        return os.pidfd_open(sockets.peer(connection).pid)
    except ProcessLookupError:
        raise
    except OSError:
        return -1


class Oneshot:
    """A script that runs. `outcome` is None while it does; the runner's answer becomes it."""

    outcome: str | None = None

    def give_up(self) -> None:
        """Nothing is left to do: the runner has been told when to end it."""

    def settle(self) -> None:
        """Nothing is left to do: the script has done it."""

    def close(self) -> None:
        """Nothing is left to do: the connection goes on."""


def _outcome(errno: int, status: int) -> str:
    if errno:
        return "timed out" if errno == ETIMEDOUT else os.strerror(errno)
    if status & 0x7F:
        from initfs import signals

        return f"killed by SIG{signals.name(status & 0x7F)}"
    return f"exit code {status >> 8}" if status else ""
