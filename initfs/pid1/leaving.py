"""The last step of the machine's end: write out, unmount, and make the system call, whatever fails before it."""

from __future__ import annotations

import os
import select

from initfs import kernel, say
from initfs.pid1 import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 20.0  # seconds that writing out and unmounting may take: a dead disk takes for ever
THE_MACHINES_OWN = "pid:[4026531836]"  # PROC_PID_INIT_INO of linux/proc_ns.h
LETTERS = {"reboot": b"b", "poweroff": b"o"}  # Documentation/admin-guide/sysrq.rst


def leave(mode: str, script: str = "") -> None:
    """End the machine: halt, poweroff or reboot, after SCRIPT if there is one. Returns only when the kernel refuses all that was tried."""
    try_to("write out and unmount", lambda: write_out(script))
    try_to(mode, lambda: kernel.reboot(mode))
    try_to(f"{mode} by the emergency door", lambda: trigger(mode))


def try_to(what: str, act: Callable[[], object]) -> None:
    """Act; nothing that goes wrong keeps from the next step."""
    try:
        act()
    except Exception as error:  # noqa: BLE001
        say.warning(f"unable to {what}: {say.describe(error)}; going on")


def write_out(script: str) -> None:
    """Sync, unmount, and become SCRIPT if it can be run, in a child that may hang where process 1 may not."""
    os.chdir("/")
    pid = os.fork()
    if pid == 0:
        try:
            os.sync()
            mounts.unmount_all()
            if script and os.access(script, os.X_OK):
                os.execve(script, [script], {"PATH": os.environ.get("PATH", "/usr/bin")})
        finally:
            os._exit(0)
    with select.epoll() as epoll:
        epoll.register(os.pidfd_open(pid), select.EPOLLIN)
        if not epoll.poll(LIMIT):
            raise TimeoutError(f"not within {LIMIT:g} seconds")


def trigger(mode: str) -> None:
    """Tell the kernel by /proc/sysrq-trigger. That is the whole machine's, so a container's process 1 must not."""
    if os.readlink("/proc/self/ns/pid") != THE_MACHINES_OWN or mode not in LETTERS:
        return
    fd = os.open("/proc/sysrq-trigger", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, LETTERS[mode])
    finally:
        os.close(fd)
