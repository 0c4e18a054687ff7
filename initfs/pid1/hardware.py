"""/dev/watchdog: opened as early as it is there, fed when asked to, and never closed by accident.

Source: Documentation/watchdog/watchdog-api.rst of the kernel. Opening starts it; each write feeds it; a `V` before the close stops it, unless
the driver was told never to. execve keeps the descriptor: no gap.
"""

from __future__ import annotations

import fcntl
import os
import sys

from initfs import say

DEVICE = "/dev/watchdog"
SET_TIMEOUT = 0xC0045706  # _IOWR('W', 6, int), the same everywhere
BOOT_STATUS, BOOT_STATUS_MIPS = 0x80045702, 0x40045702  # _IOR('W', 2, int)
CARD_RESET = 0x0020  # WDIOF_CARDRESET: the last reset was the watchdog's


class Hardware:
    """The device, once it is there."""

    def __init__(self, timeout: int, fd: int = -1) -> None:
        """TIMEOUT in seconds, 0: not used. FD is of our former execution."""
        self.timeout = timeout
        self.fd = fd
        self.reset = False  # the last reset was its doing

    def open(self) -> bool:
        """Open and start it; False when there is none. That it cannot do as asked is said."""
        if self.fd >= 0 or not self.timeout:
            return self.fd >= 0
        try:
            self.fd = os.open(DEVICE, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            answer = fcntl.ioctl(self.fd, SET_TIMEOUT, self.timeout.to_bytes(4, sys.byteorder))
            self.timeout = int.from_bytes(answer, sys.byteorder)
        except OSError as error:
            say.warning(f"unable to set the watchdog's time-out: {say.reason(error)}; it keeps its own")
        self.reset = bool(self._boot_status() & CARD_RESET)
        say.info(f"the watchdog resets this machine unless it is fed within {self.timeout} seconds")
        return True

    def _boot_status(self) -> int:
        mips = os.uname().machine.startswith("mips")
        try:
            answer = fcntl.ioctl(self.fd, BOOT_STATUS_MIPS if mips else BOOT_STATUS, bytes(4))
            return int.from_bytes(answer, sys.byteorder)
        except OSError:
            return 0

    def feed(self) -> None:
        """Let it wait for another time-out."""
        try:
            os.write(self.fd, b"\0")
        except OSError as error:
            say.warning(f"unable to feed the watchdog: {say.reason(error)}")

    def stop(self) -> None:
        """Have it reset nothing: a person is to look."""
        if self.fd >= 0:
            try:
                os.write(self.fd, b"V")
                os.close(self.fd)
            except OSError as error:
                say.warning(f"unable to stop the watchdog: {say.reason(error)}")
            self.fd = -1
