"""Children of a chain loader: this interpreter's copy, so that a child's command line costs no second start either.

Source: `spec/chainloading.md` 3.0 and 3.6.
"""

from __future__ import annotations

import os

from initfs import say
from initfs.chain import next as chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Pipe = tuple[int, int]


def start(words: list[str], usage_line: str, prepare: Callable[[], object] = lambda: None) -> int:
    """Fork; the child calls PREPARE and becomes WORDS, or ends with the code of what went wrong. Returns its pid."""
    return fork(lambda: (prepare(), chain.run(words, usage_line))[1])


def fork(be: Callable[[], int]) -> int:
    """Fork; the child's exit code is what BE returns, or that of its Fatal. Returns its pid. Raises Fatal 111."""
    try:
        pid = os.fork()
    except OSError as error:
        raise say.unable("fork", error) from None
    if pid:
        return pid
    code = say.BUG
    try:
        code = say.outcome(be)
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    """Wait for a child's end and return its code, as a shell would give it."""
    return shell_code(os.waitpid(pid, 0)[1])


def relay(status: int) -> int:
    """The exit code with which to pass on a child's end: from 128 upwards is reserved for signals."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else min(code, 128)


def shell_code(status: int) -> int:
    """The same for the launcher's `?`, where nothing is reserved: the code, or 128 and the signal's number."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
