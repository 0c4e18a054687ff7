"""System calls that the standard library lacks: reboot(2), umount2(2), mount(2). The only place of `ctypes`.

ctypes is imported when the first of them is called: process 1 needs none of them before its end.
"""

from __future__ import annotations

import os

MS_RDONLY, MS_REMOUNT = 1, 32
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
