"""A button that is held down while the machine boots asks for failsafe mode: the keys of /dev/input, by the kernel's EVIOCGKEY.

The board's device tree says which key its button is, mostly KEY_RESTART or KEY_WPS_BUTTON; a file `failsafe-keys` names others by number.
"""

from __future__ import annotations

import fcntl
import os

from initfs import files

INPUT = "/dev/input"
KEYS = (0x198, 0x211)  # linux/input-event-codes.h: KEY_RESTART, KEY_WPS_BUTTON
SIZE = 96  # bytes: a bit for each of KEY_CNT keys
GET_KEYS = (2 << 30) | (SIZE << 16) | (ord("E") << 8) | 0x18  # EVIOCGKEY(SIZE)
GET_KEYS_MIPS = (2 << 29) | (SIZE << 16) | (ord("E") << 8) | 0x18


def held(bits: bytes, keys: tuple[int, ...]) -> bool:
    """Whether one of KEYS is down in the kernel's bit field."""
    return any(key // 8 < len(bits) and bits[key // 8] >> key % 8 & 1 for key in keys)


def wanted(base: str) -> tuple[int, ...]:
    """The keys that count on this machine."""
    try:
        content = files.read(f"{base}/failsafe-keys")
    except OSError:
        content = None
    if content is None:
        return KEYS
    return tuple(
        int(word) for word in content.decode(errors="replace").split() if word.isascii() and word.isdigit()
    )


def pressed(base: str) -> bool:
    """Whether somebody holds the button now."""
    keys = wanted(base)
    try:
        names = os.listdir(INPUT)
    except OSError:
        return False
    request = GET_KEYS_MIPS if os.uname().machine.startswith("mips") else GET_KEYS
    for name in names:
        try:
            fd = os.open(f"{INPUT}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if held(fcntl.ioctl(fd, request, bytes(SIZE)), keys):
                return True
        except OSError:
            continue
        finally:
            os.close(fd)
    return False
