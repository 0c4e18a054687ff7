"""Other programs, run to their end: mount, mke2fs, e2fsck and the verifier of signatures."""

from __future__ import annotations

import os

from initfs import process, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENT = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin"}


def start(words: Sequence[str], output: int = 2, source: int = -1) -> int:
    """Start a program, found through our own PATH; its output goes to OUTPUT, its input comes from SOURCE. Returns its pid."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        given = [(null if source < 0 else source, 0), (output, 1)]
        for path in process.candidates(words[0], os.environ if "PATH" in os.environ else ENVIRONMENT):
            if os.access(path, os.X_OK):
                return process.spawn(path, words, os.environ, descriptors=given, session=False)
    except OSError as error:
        raise say.unable(f"run {words[0]}", error) from error
    finally:
        os.close(null)
    raise say.Fatal(say.NOT_FOUND, f"unable to run {words[0]}: there is no such program")


def ended(pid: int) -> int:
    """Wait for it; returns its exit code, 128 and the signal's number when one ended it."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def run(words: Sequence[str]) -> int:
    """Run a program to its end; returns its exit code as `ended` does. Its output is among our messages."""
    return ended(start(words))
