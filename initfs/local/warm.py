"""A child that goes on in this interpreter: for handlers of ours, a connection costs a fork instead of an interpreter's start.

The fork is made by a process with one thread, in a loop; the copy has its signals reset and the loop's descriptors closed before the
handler runs, so it is as if it had just been executed.
"""

from __future__ import annotations

import gc
import os
import sys

from initfs import process, say, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initfs.loop import Loop


def ready() -> None:
    """Call it once before the first fork: what is there now is not looked at again by the collector, in no copy (gc.freeze)."""
    gc.collect()
    gc.freeze()


def fork(
    handler: Callable[[], int],
    around: Loop | None,
    descriptors: Sequence[tuple[int, int]] = (),
    caught: Sequence[int] = (signals.CHLD, signals.TERM, signals.HUP, signals.QUIT, signals.ABRT),
    closing: Sequence[int] = (),
) -> int:
    """Fork; the copy has DESCRIPTORS as (ours, its) pairs, dup2'ed in order, and ends with what HANDLER returns. Returns its pid.

    CAUGHT signals get their default action back; then those CLOSING are closed: a copy must keep no listener alive, and no connection
    but as what it is told. What else we hold is close-on-exec, and open in the handler. OSError.
    """
    _flush()  # what is still in a buffer would be written twice
    signals.hold(*caught)
    try:
        pid = os.fork()
    except OSError:
        signals.let(*caught)
        raise
    if pid:
        signals.let(*caught)
        return pid
    code = say.BUG

    def be() -> int:
        _begin(around, descriptors, caught, closing)
        return handler()

    try:
        code = say.outcome(be)
    finally:
        _flush()
        os._exit(code & 0xFF)  # without the interpreter's own end, which takes longer than the rest
    return 0


def _begin(
    around: Loop | None, descriptors: Sequence[tuple[int, int]], caught: Sequence[int], closing: Sequence[int]
) -> None:
    """Be no copy any more."""
    gc.disable()
    signals.wake(-1)
    signals.default(*caught, *process.RESTORED)
    signals.let(*caught)
    if around is not None:
        around.close()
    for ours, theirs in descriptors:
        if ours == theirs:
            os.set_inheritable(theirs, True)
        else:
            os.dup2(ours, theirs)
    for fd in closing:
        os.close(fd)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
