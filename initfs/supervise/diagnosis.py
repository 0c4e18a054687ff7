"""Why a program could not be started, in words. execve(2) has one error for several causes: ENOENT is a missing file, or
a missing interpreter, or a missing loader; EACCES a missing bit, or a noexec mount. The file itself tells them apart.
"""

from __future__ import annotations

import errno
import os
import struct

from initfs import say
from initfs.value import value

# ELF e_machine (System V ABI, gABI registry) by what uname(2) calls the machine.
MACHINES = {
    "x86_64": 62,
    "i686": 3,
    "aarch64": 183,
    "armv7l": 40,
    "armv6l": 40,
    "riscv64": 243,
    "mips": 8,
    "mips64": 8,
    "ppc64le": 21,
    "s390x": 22,
}
NAMES = {62: "x86-64", 3: "i386", 183: "aarch64", 40: "arm", 243: "riscv", 8: "mips", 21: "ppc64", 22: "s390"}
PT_INTERP = 3


@value
class Evidence:
    """What can be seen of the file that did not start."""

    head: bytes = b""
    mode: int = 0
    noexec: bool = False
    directory: bool = False
    interpreter_found: bool = True
    machine: str = ""


def explain(number: int, seen: Evidence | None) -> str:
    """The words for errno NUMBER of an exec of the file SEEN; None when there is no such file."""
    if seen is None:
        return "there is no such file" if number == errno.ENOENT else os.strerror(number)
    if seen.directory:
        return "it is a directory"
    if number == errno.EACCES:
        return _denied(seen)
    if number == errno.ENOENT:
        return _missing(seen)
    if number == errno.ENOEXEC:
        return _unknown_format(seen)
    return os.strerror(number)


def _denied(seen: Evidence) -> str:
    if seen.noexec:
        return "it is on a file system mounted noexec"
    if not seen.mode & 0o111:
        return "it is not executable (chmod +x)"
    if interpreter(seen.head):
        return f"its interpreter {interpreter(seen.head)} may not be run"
    return os.strerror(errno.EACCES)


def _missing(seen: Evidence) -> str:
    found = interpreter(seen.head)
    kind = "interpreter" if seen.head.startswith(b"#!") else "loader"
    if found and not seen.interpreter_found:
        return f"its {kind} {found!r} does not exist"
    return f"something that its {kind} {found!r} needs does not exist" if found else os.strerror(errno.ENOENT)


def _unknown_format(seen: Evidence) -> str:
    if not seen.head:
        return "it is empty"
    machine = elf_machine(seen.head)
    if machine is None:
        return "it is neither a program nor a script that begins with #!"
    if machine != MACHINES.get(seen.machine, machine):
        return f"it is a program for {NAMES.get(machine, f'machine {machine}')}, this is {seen.machine}"
    return "it is a program that this kernel does not run"


def interpreter(head: bytes) -> str:
    """The program that a file's first bytes name to run it: after #!, or an ELF file's PT_INTERP; "" for none."""
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0].strip(b" \t").replace(b"\t", b" ")
        return line.partition(b" ")[0].decode(errors="replace")  # the kernel does not strip a carriage return
    return _elf_interpreter(head)


def elf_machine(head: bytes) -> int | None:
    """The e_machine of an ELF file, or None."""
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    return int(struct.unpack_from(_order(head) + "H", head, 18)[0])


def _order(head: bytes) -> str:
    return ">" if head[5] == 2 else "<"


def _elf_interpreter(head: bytes) -> str:
    """Walk the program headers, as far as they are in HEAD, for PT_INTERP (gABI chapter 5)."""
    try:
        if elf_machine(head) is None:
            return ""
        order, wide = _order(head), head[4] == 2
        table = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
        for index in range(min(count, 64)):
            at = table + index * size
            if struct.unpack_from(order + "I", head, at)[0] == PT_INTERP:
                start = struct.unpack_from(order + ("Q" if wide else "I"), head, at + (8 if wide else 4))[0]
                return head[start : head.index(b"\0", start)].decode(errors="replace")
    except (
        struct.error,
        ValueError,
        OverflowError,
    ):  # offsets that lead out of the file, or out of the world
        return ""
    return ""


def look(path: str, at: int) -> Evidence | None:
    """Gather the evidence about PATH below the directory AT; None when there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
    except OSError:
        return None
    try:
        mode = os.fstat(fd).st_mode
        directory = mode & 0o170000 == 0o040000
        head = b"" if directory else os.read(fd, 4096)
        return Evidence(
            head=head,
            mode=mode,
            noexec=bool(os.fstatvfs(fd).f_flag & os.ST_NOEXEC),
            directory=directory,
            interpreter_found=os.path.exists(interpreter(head)),
            machine=os.uname().machine,
        )
    except OSError:
        return None
    finally:
        os.close(fd)


def why(error: OSError, path: str, at: int) -> str:
    """`unable to run PATH: reason`, for an error of a spawn of PATH in the directory AT."""
    seen = look(path, at)
    reason = explain(error.errno, seen) if error.errno else say.reason(error)
    return f"unable to run {path}: {reason}"
