"""System calls that the standard library lacks: reboot(2), mount(2), umount2(2), unshare(2), setns(2),
pidfd_getfd(2). The only `ctypes`.

ctypes is imported when the first of them is called: process 1 needs none of them before its end.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

PIDFD_GETFD = 438  # the same number on every architecture but alpha
CLONE_NEWPID = 0x20000000  # linux/sched.h
MS_RDONLY, MS_REMOUNT = 1, 32
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4  # asm-generic/mman.h; the same on all of our architectures
# linux/reboot.h
REBOOT = {"reboot": 0x01234567, "halt": 0xCDEF0123, "poweroff": 0x4321FEDC}


def _call(name: str, *arguments: object) -> None:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reboot(how: str) -> None:
    """Ask the kernel to reboot, halt or power off. It does not sync: the caller has. In a pid namespace it ends that one."""
    import ctypes

    _call("reboot", ctypes.c_int(REBOOT[how] - (1 << 32) if REBOOT[how] >> 31 else REBOOT[how]))


def unmount(path: str) -> None:
    """umount2(2) without flags: a busy file system is an OSError, EBUSY."""
    _call("umount2", os.fsencode(path), 0)


def remount_read_only(path: str) -> None:
    """Make the mount at PATH read-only, mount(2) with MS_REMOUNT."""
    _call("mount", None, os.fsencode(path), None, MS_REMOUNT | MS_RDONLY, None)


def lock_memory() -> None:
    """mlockall(2): what is in memory of ours, now or later, stays there; what was never touched takes none."""
    _call("mlockall", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)


def descriptor_of(pidfd: int, fd: int) -> int:
    """A copy, close-on-exec, of the descriptor FD of another process: pidfd_getfd(2), for those who might trace it (ptrace(2))."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    found = int(library.syscall(PIDFD_GETFD, pidfd, fd, 0))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


class new_pid_namespace:  # noqa: N801
    """While it lasts, children are born into a new pid namespace, the first as its pid 1; we stay in ours (unshare(2)).

    OSError when the kernel has no such thing or denies it.
    """

    def __enter__(self) -> Self:
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWPID)
        except OSError:
            os.close(self._own)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            _call("setns", self._own, CLONE_NEWPID)
        finally:
            os.close(self._own)
