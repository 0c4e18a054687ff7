"""What can go wrong with a machine; every message carries what a person needs to see next."""

from __future__ import annotations


class VmError(Exception):
    """The machine did not do what was wanted; the text shows its last events and the end of its console."""


class TimedOutError(VmError):
    """What was waited for did not happen in time."""


class EndedError(VmError):
    """QEMU has ended while something was still expected of the guest."""


class TroubleError(VmError):
    """Something is on the console that must never be there: a panic, an oops, an OOM kill, a traceback."""


class LostError(VmError):
    """The agent went away while it ran our command."""
