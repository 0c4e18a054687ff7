"""The last step of the machine's end: write out, unmount, and make the system call, whatever fails before it."""

from __future__ import annotations

import os
import select

from initfs import files, kernel, say
from initfs.pid1 import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 20.0  # seconds that writing out and unmounting may take: a dead disk takes for ever
EXIT_CODE = "/run/initfs/exitcode"  # of a container
THE_MACHINES_OWN = "pid:[4026531836]"  # PROC_PID_INIT_INO of linux/proc_ns.h
LETTERS = {"reboot": b"b", "poweroff": b"o"}  # Documentation/admin-guide/sysrq.rst


def leave(mode: str, script: str = "") -> None:
    """End the machine: halt, poweroff or reboot, after SCRIPT if there is one. Returns only when the kernel refuses all that was tried."""
    try_to("write out and unmount", lambda: write_out(script))
    try_to(mode, lambda: kernel.reboot(mode))
    try_to(f"{mode} by the emergency door", lambda: trigger(mode))


def leave_container(mode: str, *, sync: bool) -> None:
    """End a container: halt is an exit with the code that EXIT_CODE has, 0 without one; the others are told by the signal that the
    kernel makes of reboot(2) in a pid namespace (pid_namespaces(7)). Who may not call that exits as well.
    """
    if sync:
        try_to("sync", os.sync)
    if mode != "halt":
        try_to(mode, lambda: kernel.reboot(mode))
    os._exit(exit_code())


def exit_code() -> int:
    """What rc.init, or who else, has left for our parent."""
    try:
        text = (files.read(EXIT_CODE) or b"0").strip()
    except OSError:
        return 0
    return int(text) & 0xFF if text.isdigit() else 0


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
