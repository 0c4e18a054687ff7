"""Why the previous boot ended, as far as anything survived to tell. The deciding part is pure.

What may survive a warm reboot: pstore(5) below /sys/fs/pstore (`dmesg-*`: the kernel's last messages, with a panic or oops; `pmsg-*`: what
processes wrote to /dev/pmsg0, as we do at the end), and the watchdog's own word that it was the one. What survives more: the record on /data
(`boots.py`).
"""

from __future__ import annotations

import os

from initfs import files

PSTORE, PMSG, FILE = "/sys/fs/pstore", "/dev/pmsg0", "/run/initfs/previous"
LOG = "/run/uncaught-logs/current"
SIZE, TAIL = 1 << 16, 4096
MARK = "initfs: the machine ends: "
PANIC = "Kernel panic - not syncing: "


def why(messages: dict[str, str], *, watchdog: bool) -> str:
    """In words, from the files of pstore by name and the WATCHDOG's claim; "" when nothing tells.

    A panic tells more than the reset that follows it, and both more than an end that was only begun.
    """
    for name, text in sorted(messages.items()):
        if name.startswith("dmesg"):
            found = panic(text)
            if found:
                return found
    if watchdog:
        return "the watchdog reset the machine: nobody fed it"
    for name, text in sorted(messages.items()):
        if name.startswith("pmsg") and MARK in text:
            return f"somebody asked for it: {text.rpartition(MARK)[2].partition(chr(10))[0]}"
    return ""


def panic(text: str) -> str:
    """What the kernel died of."""
    for line in text.splitlines():
        if PANIC in line:
            return f"the kernel panicked: {line.partition(PANIC)[2]}"
        if "Oops" in line:
            return f"the kernel failed: {line[line.index('Oops') :]}"
    return ""


def read() -> dict[str, str]:
    """What pstore has kept. What was read is removed: the memory is small, and it is for the next time."""
    found = {}
    try:
        names = sorted(os.listdir(PSTORE))
    except OSError:
        return {}
    for name in names:
        try:
            found[name] = (files.read(f"{PSTORE}/{name}", size=SIZE) or b"").decode(errors="replace")
            os.unlink(f"{PSTORE}/{name}")
        except OSError:
            continue
    return found


def leave_word(mode: str) -> None:
    """Say how this boot ends, with the last lines of the log, where a warm reboot does not erase it."""
    try:
        fd = os.open(PMSG, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, tail() + f"{MARK}{mode}\n".encode())
    except OSError:
        return
    finally:
        os.close(fd)


def tail() -> bytes:
    """The last lines of the catch-all log."""
    try:
        with open(LOG, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            data = file.read(TAIL)
    except OSError:
        return b""
    return data if size <= TAIL else data.partition(b"\n")[2]
