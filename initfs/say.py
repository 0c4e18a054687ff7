"""One grammar of messages and one table of exit codes, the same in every program.

    program: fatal: unable to X: reason

Source: `spec/supervision.md` 1.0; the codes are those of the daemontools family.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OK = 0
NO = 1  # "no", "denied", "condition false"
TIMED_OUT = 99
USAGE = 100  # wrong usage, or a permanent condition that the user must mend
BUG = 101  # cannot happen
NOT_SUPERVISED = 102
TEMPORARY = 111  # a system call failed
CANNOT_EXEC = 126
NOT_FOUND = 127

program = "initfs"  # who speaks; initfs.main sets it
quiet = False  # warnings are not said
stream = 2  # where it speaks; process 1 has a descriptor of its own that never blocks


class Fatal(Exception):
    """Ends the program: its text is said after `program: fatal: `, its code is the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def unable(what: str, error: OSError, code: int = TEMPORARY) -> Fatal:
    """The Fatal for a failed system call: `unable to WHAT: reason`."""
    return Fatal(code, f"unable to {what}: {reason(error)}")


def usage(line: str) -> Fatal:
    """The Fatal for wrong usage; LINE is the program's usage line."""
    return Fatal(USAGE, f"usage: {line}")


def reason(error: OSError) -> str:
    """The kernel's words for an error, without Python's decoration."""
    return os.strerror(error.errno) if error.errno else str(error)


def describe(error: BaseException) -> str:
    """An exception in one line, with the place where it arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{place}"


def outcome(program: Callable[[], int]) -> int:
    """The exit code of a copy of ours: what PROGRAM returns, or that of what it raised, which is said. Nothing is raised."""
    try:
        return program()
    except Fatal as error:
        fatal(str(error))
        return error.code
    except OSError as error:
        fatal(f"unable to go on: {reason(error)}")
        return TEMPORARY
    except Exception as error:  # noqa: BLE001 # the copy must not go on as if it were its parent
        fatal(f"bug: {describe(error)}")
        return BUG


def line(kind: str, text: str) -> None:
    """Write one whole line to standard error. That this can fail is nobody's news: there is nowhere else to say it."""
    try:
        os.write(stream, f"{program}: {kind}: {text}\n".encode(errors="surrogateescape"))
    except OSError:
        return


def fatal(text: str) -> None:
    line("fatal", text)


def warning(text: str) -> None:
    if not quiet:
        line("warning", text)


def info(text: str) -> None:
    line("info", text)
